package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// details are folded: what few want to see, and those have to.
func (r *Report) details() []string {
	var out []string
	for _, fold := range []struct {
		title string
		body  string
	}{
		{"Trust sources", r.trust()},
		{"Entries that did not count", r.ignored()},
		{"Timings and request ids", r.timings()},
		{"This run", r.thisRun()},
	} {
		if fold.body != "" {
			out = append(out, "<details><summary>"+fold.title+"</summary>\n\n"+fold.body+"\n</details>\n")
		}
	}
	return out
}

// grid is a table of Markdown with at most n rows.
func grid(head string, rows []string, n int) string {
	if len(rows) == 0 {
		return ""
	}
	text := head + "\n" + strings.Repeat("|---", strings.Count(head, "|")-1) + "|\n" + strings.Join(rows[:min(len(rows), n)], "\n") + "\n"
	if more := len(rows) - n; more > 0 {
		text += fmt.Sprintf("\nAnd %d more, see report.json.\n", more)
	}
	return text
}

func (r *Report) trust() string {
	var rows []string
	for _, t := range r.Trust {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |", code(t.Source), code(t.SHA256), codes(t.Fingerprints, 6, "<br>")))
	}
	return grid("| source | SHA-256 | keys |", rows, mostRows)
}

// ignored lists first what may be why something failed.
func (r *Report) ignored() string {
	var rows []string
	for _, g := range r.groups() {
		for _, s := range g {
			for _, i := range s.Ignored {
				rows = append(rows, fmt.Sprintf("| %s (%s) | %s | %s | %s | %s |", code(g.name()), s.part(), code(i.Code), prose(i.Why), code(i.Store), code(i.Manifest)))
			}
		}
	}
	return grid("| image | code | why | store | entry |", rows, mostIgnored)
}

func (r *Report) timings() string {
	var rows []string
	for _, g := range r.groups() {
		for _, s := range g {
			if len(s.Timings) == 0 && len(s.RequestIDs) == 0 {
				continue
			}
			var steps []string
			for _, step := range s.Timings.steps() {
				steps = append(steps, prose(step)+" "+duration(s.Timings[step]))
			}
			rows = append(rows, fmt.Sprintf("| %s (%s) | %s | %s |", code(g.name()), s.part(), strings.Join(steps, "<br>"), codes(s.RequestIDs, 4, "<br>")))
		}
	}
	return grid("| manifest | time | request ids of the key backend |", rows, mostTimings)
}

// steps returns the names of the steps, those of every run in its order.
func (t Timings) steps() []string {
	usual := []string{"resolve", "sign", "attach", "gate"}
	return slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		i, j := slices.Index(usual, a), slices.Index(usual, b)
		return cmp.Or(cmp.Compare(uint(i), uint(j)), cmp.Compare(a, b))
	})
}

func (r *Report) thisRun() string {
	rows := []string{"| signgate | " + code(r.Version) + " |"}
	if !r.StartedAt.IsZero() {
		rows = append(rows, "| started | "+code(r.StartedAt.Format("2006-01-02 15:04:05 UTC"))+" |")
	}
	if run := r.Run; run != nil {
		for _, f := range []struct{ name, value string }{
			{"workflow", run.WorkflowRef}, {"event", run.Event}, {"ref", run.Ref}, {"commit", run.SHA}, {"runner", run.RunnerEnvironment},
		} {
			if f.value != "" {
				rows = append(rows, "| "+f.name+" | "+code(f.value)+" |")
			}
		}
	}
	return grid("| what | value |", rows, mostRows)
}
