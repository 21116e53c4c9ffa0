package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// failure is a check that did not pass, with all that it did not pass for.
type failure struct {
	Finding
	images []string // as Markdown, with the manifests
	spared bool
}

// failures says what did not pass, why, and what to do about it.
func (r *Report) failures(groups []group) []string {
	var out []string
	if r.Error != nil {
		cause, next := cutNext(r.Error.Message)
		out = append(out, r.failed(r.Error.Code, "", cause, next))
	}
	list := collect(groups)
	for _, f := range list[:min(len(list), mostFailures)] {
		out = append(out, r.failed(f.Code, f.where(), f.cause(), f.Next))
	}
	if len(out) == 0 {
		return nil
	}
	out = append([]string{"### What failed, and what to do\n"}, out...)
	if more := len(list) - mostFailures; more > 0 {
		out = append(out, fmt.Sprintf("And %d more of %s, see report.json.\n", more, byCode(list[mostFailures:])))
	}
	return out
}

// failed is an entry of the list.
func (r *Report) failed(code, where, cause, next string) string {
	text := fmt.Sprintf("- **[%s](%s)**%s\n  <br>%s\n", strings.Trim(codeName(code), "`"), r.help(code), where, cause)
	if next != "" {
		text += "  <br>➡️ **Next:** " + prose(next) + "\n"
	}
	return text
}

func codeName(c string) string {
	if codeForm.MatchString(c) {
		return strings.ReplaceAll(c, "_", "\\_")
	}
	return "internal"
}

// cutNext takes the next step from a message of the form "what; next".
func cutNext(message string) (cause, next string) {
	i := strings.LastIndex(message, "; ")
	if i < 0 {
		return prose(message), ""
	}
	return prose(message[:i]), message[i+2:]
}

func (f failure) where() string {
	where := " · " + some(f.images, 5)
	if n := len(f.images); n > 1 {
		where = fmt.Sprintf(" · %d images: ", n) + some(f.images, 5)
	}
	if f.spared {
		where += " · only a warning"
	}
	return where
}

func (f failure) cause() string {
	check := "Check " + code(f.Check)
	if f.Tag != "" {
		check += ", tag " + code(f.Tag)
	}
	return check + ": " + prose(f.Fact)
}

// collect returns what did not pass, the same for several images as one.
func collect(groups []group) []failure {
	var out []failure
	at := map[Finding]int{}
	for _, g := range groups {
		parts := map[int][]string{}
		for _, s := range g {
			for _, f := range s.Findings {
				if f.Outcome == "passed" {
					continue
				}
				i, again := at[f]
				if !again {
					i = len(out)
					at[f] = i
					out = append(out, failure{Finding: f, spared: s.Spared})
				}
				parts[i] = append(parts[i], s.part())
			}
		}
		for _, i := range slices.Sorted(maps.Keys(parts)) {
			out[i].images = append(out[i].images, g.with(parts[i]))
		}
	}
	return out
}

// with names the image and the manifests that something is about.
func (g group) with(parts []string) string {
	switch len(g) {
	case 1:
		return code(g.name())
	case len(parts):
		return fmt.Sprintf("%s (all %d manifests)", code(g.name()), len(g))
	}
	return code(g.name()) + " (" + some(parts, 6) + ")"
}

// byCode counts failures by their codes.
func byCode(list []failure) string {
	var codes []string
	seen := map[string]int{}
	for _, f := range list {
		name := codeName(f.Code)
		if seen[name]++; seen[name] == 1 {
			codes = append(codes, name)
		}
	}
	for i, c := range codes {
		codes[i] = fmt.Sprintf("%s (%d)", c, seen[c])
	}
	return some(codes, 10)
}

// some joins at most n parts of Markdown.
func some(parts []string, n int) string {
	if more := len(parts) - n; more > 0 {
		return strings.Join(parts[:n], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(parts, ", ")
}
