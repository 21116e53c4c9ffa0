package report

import (
	"fmt"
	"strings"
)

// failure is a check that did not pass, for one image or for several of its
// manifests.
type failure struct {
	Finding
	image  string
	parts  []string
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
	where := " · " + code(f.image)
	if len(f.parts) > 0 {
		where += " (" + some(f.parts, 6) + ")"
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

// collect returns what did not pass, what is the same for manifests of one
// image as one.
func collect(groups []group) []failure {
	var out []failure
	for _, g := range groups {
		at := map[Finding]int{}
		for _, s := range g {
			for _, f := range s.Findings {
				if f.Outcome == "passed" {
					continue
				}
				i, again := at[f]
				if !again {
					i = len(out)
					at[f] = i
					out = append(out, failure{Finding: f, image: g.name(), spared: s.Spared})
				}
				if len(g) > 1 {
					out[i].parts = append(out[i].parts, s.part())
				}
			}
		}
	}
	return out
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
