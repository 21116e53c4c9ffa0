package policy

import "strings"

// meet reports whether two patterns have a text in common. It walks both at
// once, and each pair of places once.
func meet(a, b string) bool {
	seen := make([]bool, (len(a)+1)*(len(b)+1))
	var walk func(i, j int) bool
	walk = func(i, j int) bool {
		at := i*(len(b)+1) + j
		if seen[at] {
			return false
		}
		seen[at] = true
		switch {
		case i == len(a) && j == len(b):
			return true
		case i < len(a) && a[i] == '*':
			return walk(next(a, i), j) || j < len(b) && (crosses(a, i) || b[j] != '/') && walk(i, step(b, j))
		case j < len(b) && b[j] == '*':
			return walk(i, next(b, j)) || i < len(a) && (crosses(b, j) || a[i] != '/') && walk(i+1, j)
		}
		return i < len(a) && j < len(b) && a[i] == b[j] && walk(i+1, j+1)
	}
	return walk(0, 0)
}

// crosses reports whether the wildcard at i is **.
func crosses(p string, i int) bool { return strings.HasPrefix(p[i:], "**") }

// next is the place after the wildcard at i.
func next(p string, i int) int {
	if crosses(p, i) {
		return i + 2
	}
	return i + 1
}

// step is the place after one element of p, a wildcard as a whole.
func step(p string, j int) int {
	if p[j] == '*' {
		return next(p, j)
	}
	return j + 1
}
