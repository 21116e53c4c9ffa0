package cli

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/fault"
)

// caseSuffix is how the files end that policy test runs.
const caseSuffix = ".case.yaml"

// policyCase is one test of a policy; docs/policy-tools.md specifies the file.
// Paths are relative to its folder.
type policyCase struct {
	Policy          string    `yaml:"policy"`
	Image           string    `yaml:"image"`
	Layout          string    `yaml:"layout"` // the folder of the image's fixture; "" asks the registry
	Now             time.Time `yaml:"now"`
	MinimumSequence string    `yaml:"minimumSequence"`
	Expect          expected  `yaml:"expect"`

	file string
}

type expected struct {
	Verdict string `yaml:"verdict" json:"verdict"`
	Code    string `yaml:"code" json:"code,omitempty"`
}

func (e expected) String() string { return strings.TrimSpace(e.Verdict + " " + e.Code) }

// warned is the verdict of a rule that only warns and would have refused.
const warned = "warned"

// readCase reads a case. Unknown fields and missing ones are configuration
// faults ("case_invalid").
func readCase(file string) (c policyCase, err error) {
	text, err := readFile("policy test", file, maxTrust)
	if err != nil {
		return c, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return c, badCase(file, yamlProblem(err))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return c, badCase(file, "there is more than one document in it")
	}
	c.file = file
	if why := c.problem(); why != "" {
		return c, badCase(file, why)
	}
	c.Policy = c.beside(c.Policy)
	if c.Layout != "" {
		c.Layout = c.beside(c.Layout)
	}
	return c, nil
}

func (c policyCase) problem() string {
	verdicts := []string{fault.Passed.String(), fault.Refused.String(), fault.Config.String(), fault.Undecided.String(), warned}
	switch {
	case c.Policy == "":
		return "it has no policy"
	case c.Image == "":
		return "it has no image"
	case c.Layout != "" && c.Now.IsZero():
		return "it has a layout and no now: what was signed gets older, and the answer would change with it"
	case !slices.Contains(verdicts, c.Expect.Verdict):
		return "expect.verdict has to be one of " + strings.Join(verdicts, ", ")
	case c.Expect.Code == "" && c.Expect.Verdict != fault.Passed.String():
		return "it has no expect.code, so that any " + c.Expect.Verdict + " verdict would do"
	}
	return ""
}

// yamlProblem is the parser's text without the types of this program.
func yamlProblem(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "yaml: "), "unmarshal errors: ")
	return regexp.MustCompile(` (in type|into) cli\.\w+`).ReplaceAllString(text, "")
}

// beside is a path relative to the case's own folder.
func (c policyCase) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.file), path)
}

func badCase(file, why string) error {
	return fault.Configf("case_invalid", "write policy, image, layout, now and expect: {verdict, code}; signgate policy test --record prints one", "the case %s cannot be used: %s", file, why)
}
