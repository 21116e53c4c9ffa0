package report

import (
	"fmt"
	"slices"
	"strings"
)

// tables show the images: the first ones, which need a look if any does, with a
// table each, and the others with a row each.
func (r *Report) tables(groups []group) []string {
	if len(groups) == 0 {
		return nil
	}
	out := []string{"### Images\n"}
	for _, g := range groups[:min(len(groups), mostDetailed)] {
		out = append(out, g.table())
	}
	if len(groups) > mostDetailed {
		out = append(out, rest(groups[mostDetailed:])...)
	}
	return out
}

// table is one image with its platforms.
func (g group) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#### %s %s\n\n", g.mark(), code(g.name()))
	if g[0].Digest != "" {
		fmt.Fprintf(&b, "%s", code(g[0].Digest))
		if rule := g[0].Rule; rule != nil {
			fmt.Fprintf(&b, " · %s", rule.text())
		}
		b.WriteString("\n\n")
	}
	b.WriteString("| manifest | signatures | attestations | result |\n|---|---|---|---|\n")
	rows := g.rows()
	for _, row := range rows[:min(len(rows), mostRows)] {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", row.name(), row.signatures, row.attestations, row.result)
	}
	if more := len(rows) - mostRows; more > 0 {
		fmt.Fprintf(&b, "\nAnd %d more rows, see report.json.\n", more)
	}
	if tags := g[0].Promoted; len(tags) > 0 {
		fmt.Fprintf(&b, "\nPromoted: %s\n", codes(tags, 10, ", "))
	}
	for _, s := range g {
		if len(s.Skipped) > 0 {
			fmt.Fprintf(&b, "\n%s left out: %s\n", count(len(s.Skipped), "manifest"), prose(s.Skipped[0].Reason))
			break
		}
	}
	return b.String()
}

// text names a rule in Markdown.
func (r *Rule) text() string {
	if r.Policy == "" && r.Name == "stored" {
		return "checked that what this run made is stored"
	}
	return "rule " + code(r.Name)
}

// row is a row of a table: one manifest, or several of which the same is true.
type row struct {
	parts                            []string
	signatures, attestations, result string
}

// rows returns the rows of an image. Manifests of which the same is true share
// one.
func (g group) rows() []row {
	var out []row
	for _, s := range g {
		next := row{[]string{s.part()}, s.signedBy(), s.attestedBy(), s.result()}
		if i := slices.IndexFunc(out, next.same); i >= 0 {
			out[i].parts = append(out[i].parts, next.parts...)
			continue
		}
		out = append(out, next)
	}
	return out
}

func (r row) same(o row) bool {
	return r.signatures == o.signatures && r.attestations == o.attestations && r.result == o.result
}

// name names the manifests of a row: index, and 12 platforms below it.
func (r row) name() string {
	parts, first := r.parts, ""
	if parts[0] == "index" {
		parts, first = parts[1:], "index"
	}
	list := some(parts, 12)
	switch {
	case len(parts) == 0:
		return first
	case len(parts) > 3:
		list = fmt.Sprintf("%d platforms:<br>", len(parts)) + list
	}
	return strings.TrimPrefix(first+", "+list, ", ")
}

// rest is a row for each further image; those that passed are folded.
func rest(groups []group) []string {
	passed := slices.IndexFunc(groups, func(g group) bool { return g.weight() == 0 })
	if passed < 0 {
		passed = len(groups)
	}
	var out []string
	if bad := groups[:passed]; len(bad) > 0 {
		out = append(out, "#### "+count(len(bad), "more image")+"\n\n"+images(bad))
	}
	if good := groups[passed:]; len(good) > 0 {
		out = append(out, "<details><summary>"+count(len(good), "more image")+", passed</summary>\n\n"+images(good)+"\n</details>\n")
	}
	return out
}

func images(groups []group) string {
	var rows []string
	for _, g := range groups {
		rows = append(rows, fmt.Sprintf("| %s | %d | %s | %s |", code(g.name()), len(g), g.worst().signedBy(), g.worst().result()))
	}
	return grid("| image | manifests | signatures | result |", rows, mostImages)
}

// worst is the manifest of an image that needs a look most, the first of
// several.
func (g group) worst() Subject {
	worst := g[0]
	for _, s := range g {
		if s.weight() > worst.weight() {
			worst = s
		}
	}
	return worst
}
