package fault

// Nearest returns the one of known with the fewest edits to name (Levenshtein)
// and their number, for "did you mean". Names longer than 64 bytes are far from
// everything.
func Nearest(name string, known []string) (nearest string, edits int) {
	edits = 1 << 30
	for _, k := range known {
		if d := distance(name, k); d < edits {
			nearest, edits = k, d
		}
	}
	return nearest, edits
}

func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
