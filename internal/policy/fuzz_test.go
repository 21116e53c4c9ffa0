package policy_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// FuzzLoad: no text makes the loader panic or disagree with itself, what it
// refuses it explains, and what loads can be used.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"good.txtar", "bad.txtar"} {
		for _, file := range archive(f, name) {
			f.Add(file.Data)
		}
	}
	keys := map[string][]byte{}
	for _, name := range []string{"a.pub", "b.pub", "rsa.pub", "two.pub", "a-short-lines.pub"} {
		text, err := readKey(name)
		if err != nil {
			f.Fatal(err)
		}
		keys[name], keys["keys/"+name] = text, text
	}
	read := func(path string) ([]byte, error) {
		if text, ok := keys[path]; ok {
			return text, nil
		}
		return nil, errors.New("no such file")
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		source := policy.Source{Name: "p", Text: text, Read: read, Now: now}
		p, err := policy.Load(source)
		again, errAgain := policy.Load(source)
		if (err == nil) != (errAgain == nil) || !slices.Equal(policy.Problems(err), policy.Problems(errAgain)) {
			t.Fatalf("%v, and then %v", err, errAgain)
		}
		if err != nil {
			if p != nil || fault.CodeOf(err) != "policy_invalid" || len(policy.Problems(err)) == 0 {
				t.Fatalf("%v %v", p, err)
			}
			return
		}
		if p.SHA256 != again.SHA256 {
			t.Error("two hashes")
		}
		checkLoaded(t, p)
	})
}

// FuzzPattern: a repository that two patterns of one weight match is a tie, both
// ways, and a pattern matches what it is when it has no wildcards.
func FuzzPattern(f *testing.F) {
	f.Add("ghcr.io/acme/**", "ghcr.io/acme/*", "ghcr.io/acme/app")
	f.Add("ghcr.io/acme/*/web", "ghcr.io/acme/*/api", "ghcr.io/acme/x/web")
	f.Add("ghcr.io/acme/a*b*c", "ghcr.io/acme/a*/**", "ghcr.io/acme/abbc")
	f.Add("ghcr.io/**/a/**", "ghcr.io/*/**/b", "ghcr.io/x/a/b")
	f.Add("docker.io/library/alpine", "index.docker.io/library/alpine", "index.docker.io/library/alpine")
	f.Fuzz(func(t *testing.T, one, other, repository string) {
		a, wrongA := policy.ParsePattern(one)
		b, wrongB := policy.ParsePattern(other)
		if wrongA != "" || wrongB != "" {
			return
		}
		if policy.Ties(a, b) != policy.Ties(b, a) || !policy.Ties(a, a) {
			t.Errorf("%s and %s tie one way only", a, b)
		}
		if a.Matches(repository) && b.Matches(repository) && policy.Weight(a) == policy.Weight(b) && !policy.Ties(a, b) {
			t.Errorf("%s and %s both match %q with one weight and do not tie", a, b, repository)
		}
		if again, wrong := policy.ParsePattern(a.String()); wrong != "" || again.String() != a.String() {
			t.Errorf("%s becomes %s (%s)", a, again, wrong)
		}
	})
}

// FuzzCondition: no text and no predicate makes a condition panic or run for
// long.
func FuzzCondition(f *testing.F) {
	for _, expression := range []string{
		`predicate.a == 1`, `has(predicate.a)`, `predicate.a.all(x, x > 0)`, `predicate.a.map(x, x + x).size() > 1`,
		`predicate.a.matches("(a*)*")`, `image.tag + predicate.a == predicateType`, `predicate`, `1`, `((`, `[1].all(a, a == a)`,
		`timestamp(predicate.a) - timestamp("2026-01-01T00:00:00Z") < duration("1h")`,
	} {
		f.Add(expression, `{"a": 1}`)
		f.Add(expression, `{"a": [1, 2.5, 1e300, "x", null, {"a": true}]}`)
		f.Add(expression, `{"a": "aaaaaaaa"}`)
	}
	f.Fuzz(func(t *testing.T, expression, predicate string) {
		start := time.Now()
		c, err := policy.Compile(expression)
		if err != nil {
			return
		}
		facts := policy.Facts{Tag: "1.4"}
		if json.Unmarshal([]byte(predicate), &facts.Predicate) != nil {
			return
		}
		if err := c.Meets(facts); err != nil && fault.CodeOf(err) != "condition" {
			t.Error(err)
		}
		if took := time.Since(start); took > 60*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
