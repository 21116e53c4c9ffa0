package report

import "fmt"

// mostAnnotation is how much of one cause an annotation has, in bytes.
const mostAnnotation = 4 << 10

// Annotations returns the error of the run and the findings that did not pass,
// a line each, as they are shown beside a workflow run.
func (r *Report) Annotations() []string {
	var lines []string
	if e := r.Error; e != nil {
		lines = append(lines, bounded(e.Code+": "+e.Message, mostAnnotation))
	}
	for _, s := range r.Subjects {
		for _, f := range s.Findings {
			if f.Outcome == "passed" {
				continue
			}
			line := fmt.Sprintf("%s: %s: %s", f.Code, s.Subject, bounded(f.Fact, mostAnnotation))
			if f.Next != "" {
				line += "; " + f.Next
			}
			lines = append(lines, bounded(line, 2*mostAnnotation))
		}
	}
	return lines
}
