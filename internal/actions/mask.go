package actions

import "strings"

// Mask asks the runner to hide values in everything it logs from now on. Call
// it with all secrets before anything else is written.
//
// A value of several lines is masked as a whole and line by line, because the
// runner matches line by line. Everything but white space is masked, however
// short: a PIN of four digits is worth more than a readable log. Outputs that
// contain a masked value are dropped by the runner, so a very short secret may
// cost outputs; the remedy is a longer secret.
func (r *Runner) Mask(values ...string) {
	if !r.Active() {
		return
	}
	seen := map[string]bool{}
	for _, value := range values {
		for _, part := range maskParts(value) {
			if !seen[part] {
				seen[part] = true
				r.issue("add-mask", nil, part)
			}
		}
	}
}

func maskParts(value string) []string {
	var parts []string
	for _, part := range append([]string{value}, strings.FieldsFunc(value, isLineEnd)...) {
		for _, p := range []string{part, strings.TrimSpace(part)} {
			if strings.TrimSpace(p) != "" {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

func isLineEnd(c rune) bool { return c == '\n' || c == '\r' }
