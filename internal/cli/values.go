package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// values are the inputs that were given, as text. An absent name was not given.
type values map[string]string

// get returns the text of an input, or its default.
func (v values) get(name string) string {
	if s, ok := v[name]; ok {
		return strings.TrimSpace(s)
	}
	for _, in := range inputs() {
		if in.name == name {
			return in.def
		}
	}
	return ""
}

// lines returns the lines of an input that are not blank.
func (v values) lines(name string) []string { return fields(v.get(name), "\n") }

// list returns the values of an input that are separated by lines or commas.
func (v values) list(name string) []string { return fields(v.get(name), "\n,") }

func fields(s, separators string) []string {
	var out []string
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}

func (v values) bool(name string) (bool, error) {
	switch strings.ToLower(v.get(name)) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	}
	return false, badInput(name, v.get(name), "true or false")
}

func (v values) number(name string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(v.get(name), 10, 64)
	if err != nil || n < least || n > most {
		return 0, badInput(name, v.get(name), fmt.Sprintf("a whole number from %d to %d", least, most))
	}
	return n, nil
}

// duration reads a Go duration, or whole days as 30d. Blank is 0.
func (v values) duration(name string) (time.Duration, error) {
	s := v.get(name)
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 32)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < 0 || d > 50*365*24*time.Hour {
		return 0, badInput(name, s, "a duration such as 90s, 720h or 30d")
	}
	return d, nil
}

// repository returns a repository that an input names, and "" without it.
func (v values) repository(name string) (string, error) {
	text := v.get(name)
	if text == "" {
		return "", nil
	}
	img, err := image.Parse(text)
	if err != nil || len(img.Tags) > 0 || img.Digest != "" {
		return "", badInput(name, text, "a repository such as ghcr.io/acme/signatures, without a tag or digest")
	}
	return img.Repository, nil
}

func (v values) annotations() (map[string]string, error) {
	out := map[string]string{}
	for _, line := range v.lines("annotations") {
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		switch _, twice := out[key]; {
		case !ok || key == "":
			return nil, badInput("annotations", line, "key=value, one per line")
		case strings.HasPrefix(key, "dev.signgate."):
			return nil, badInput("annotations", key, "a name that does not begin with dev.signgate., which is reserved")
		case twice:
			return nil, fault.Configf("inputs_contradict", "keep one of them", "the annotation %q is given twice", key)
		}
		out[key] = strings.TrimSpace(value)
	}
	return out, nil
}

func badInput(name, got, want string) error {
	return fault.Configf("input_invalid", "correct it and run again", "the input %s is %q, and it has to be %s", name, got, want)
}

// checkBlank refuses inputs that were given without a value, or with nothing
// but separators: a pin that is blank because a variable is not set must not
// count as no pin. A blank images has an error of its own.
func (v values) checkBlank() error {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if name != "images" && len(v.list(name)) == 0 {
			return fault.Configf("input_invalid", "leave it out, or check the variable or the step that fills it", "the input %s is given and is blank", name)
		}
	}
	return nil
}

// checkNames refuses inputs that the verb does not take.
func (v values) checkNames(verb string, env bool) error {
	var known []string
	for _, in := range verbInputs(verb) {
		known = append(known, in.name)
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if slices.Contains(known, name) {
			continue
		}
		next := meant(strings.ReplaceAll(name, "_", "-"), verb, known)
		if env {
			next += " (when no step sets it, rename INPUT_" + strings.ToUpper(name) + " in an env: of the job or workflow)"
		}
		return fault.Configf("input_unknown", next, "%s has no input %q", verb, name)
	}
	return nil
}

// meant says which input somebody may have meant.
func meant(name, verb string, known []string) string {
	for _, in := range inputs() {
		if in.name == name {
			return "leave it out; it is an input of " + strings.Join(strings.Fields(in.verbs), ", ")
		}
	}
	for _, k := range known {
		if strings.HasPrefix(k, name+"-") {
			return "did you mean " + k + "?"
		}
	}
	if near, edits := fault.Nearest(name, known); edits <= max(2, len(name)/3) {
		return "did you mean " + near + "?"
	}
	return "docs/inputs.md lists those of " + verb
}
