package policy_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// facts are those of a predicate as the decoder of statements gives it.
func facts(t testing.TB, predicate string) policy.Facts {
	t.Helper()
	f := policy.Facts{PredicateType: "https://slsa.dev/provenance/v1", Repository: "ghcr.io/acme/app", Digest: "sha256:00", Tag: "1.4"}
	if err := json.Unmarshal([]byte(predicate), &f.Predicate); err != nil {
		t.Fatal(err)
	}
	return f
}

const predicate = `{
	"text": "refs/heads/main", "number": 3, "half": 2.5, "large": 9007199254740993, "yes": true, "null": null,
	"at": "2026-01-02T03:04:05Z", "map": {"a": 1, "b-c": 2},
	"list": [{"severity": "low", "score": 3.1}, {"severity": "high", "score": 9.8}], "mixed": [{"ok": true}, {}],
	"scanner": {"result": {"critical": 0}},
	"buildDefinition": {"externalParameters": {"workflow": {"ref": "refs/heads/main"}}}
}`

// TestCondition: what holds passes, and everything else is a refusal that says
// why. "" stands for a pass.
func TestCondition(t *testing.T) {
	for expression, want := range map[string]string{
		// the examples of docs/policy.md
		`predicate.buildDefinition.externalParameters.workflow.ref == "refs/heads/main"`: "",
		`predicate.scanner.result.critical == 0`:                                         "",

		// numbers of JSON, as a person reads them
		`predicate.number == 3`:                           "",
		`predicate.number == 3.0`:                         "",
		`predicate.number <= 5`:                           "",
		`predicate.number > 2 && predicate.number < 4`:    "",
		`predicate.half > 2`:                              "",
		`predicate.half >= predicate.number`:              "is false",
		`predicate.number in [1, 2, 3]`:                   "",
		`predicate.number + 1.0 == 4.0`:                   "",
		`int(predicate.number) % 2 == 1`:                  "",
		`predicate.map == {"a": 1, "b-c": 2}`:             "",
		`predicate.list.all(v, v.score < 10)`:             "",
		`predicate.list.map(v, v.score).exists(s, s > 9)`: "",
		`predicate.large == 9007199254740993`:             "too large to be compared exactly",
		`predicate.large > 0`:                             "too large to be compared exactly",
		`predicate.number == "3"`:                         "is false",

		// fields that are not there
		`predicate.missing == 1`:                              "no such key: missing",
		`predicate.map.missing == 1`:                          "no such key: missing",
		`predicate.missing.critical == 0`:                     "no such key: missing",
		`predicate.missing != "bad"`:                          "no such key: missing",
		`!predicate.missing`:                                  "no such key: missing",
		`predicate.list[7].severity == "low"`:                 "7",
		`predicate.mixed.all(m, m.ok)`:                        "no such key: ok",
		`!predicate.list.exists(v, v.missing == "x")`:         "no such key: missing",
		`has(predicate.number)`:                               "",
		`has(predicate.missing)`:                              "is false",
		`!has(predicate.missing)`:                             "",
		`!has(predicate.missing.inner)`:                       "no such key: missing",
		`!has(predicate.missing) || predicate.missing == "x"`: "",
		`predicate.text == "x" || predicate.missing == "x"`:   "no such key: missing",
		`predicate.text.inner == "x"`:                         "inner",

		// types
		`predicate.yes`:                  "",
		`predicate.number`:               "yields double",
		`predicate.text`:                 "yields string",
		`predicate["null"]`:              "yields null_type",
		`predicate.list`:                 "yields list",
		`predicate["null"] == null`:      "",
		`predicate.text < 5`:             "no such overload",
		`!predicate.text`:                "no such overload",
		`predicate.number && true`:       "no such overload",
		`predicate.number / 0.0 > 1`:     "", // infinity, as IEEE 754 has it
		`int(predicate.number) / 0 == 1`: "division by zero",
		`predicate.map["b-c"] == 2`:      "",

		// texts, lists and times
		`predicate.text.startsWith("refs/heads/")`:                        "",
		`predicate.text.endsWith("main") && predicate.text.contains("/")`: "",
		`predicate.text.matches("^refs/heads/(main|release-.*)$")`:        "",
		`predicate.text in ["refs/heads/main"]`:                           "",
		`size(predicate.list) == 2 && predicate.list.size() == 2`:         "",
		`!predicate.list.exists(v, v.severity == "critical")`:             "",
		`predicate.list.filter(v, v.score >= 7).size() <= 1`:              "",
		`timestamp(predicate.at) > timestamp("2026-01-01T00:00:00Z")`:     "",
		`timestamp(predicate.text) > timestamp("2026-01-01T00:00:00Z")`:   "cannot be evaluated",

		// the other variables
		`image.repository == "ghcr.io/acme/app" && image.tag.startsWith("1.")`: "",
		`image.digest == "sha256:01"`:                                          "is false",
		`predicateType == "https://slsa.dev/provenance/v1"`:                    "",

		// cost and time
		`predicate.text.matches(predicate.text)`: "",
	} {
		c, err := policy.Compile(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		err = c.Meets(facts(t, predicate))
		switch {
		case want == "" && err != nil, want != "" && err == nil:
			t.Errorf("%s: %v; want %q", expression, err, want)
		case err != nil && (fault.CodeOf(err) != "condition" || fault.OutcomeOf(err) != fault.Refused || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v; want %q", expression, err, want)
		}
	}
}

// TestExactNumbers: with json.Number no whole number is rounded.
func TestExactNumbers(t *testing.T) {
	f := policy.Facts{Predicate: map[string]any{
		"id": json.Number("9007199254740993"), "unsigned": json.Number("18446744073709551615"), "half": json.Number("2.5"),
		"huge": json.Number("18446744073709551616"), "exponent": json.Number("1e400"), "in": []any{json.Number("1")},
	}}
	for expression, want := range map[string]bool{
		`predicate.id == 9007199254740993`:            true,
		`predicate.id == 9007199254740992`:            false,
		`predicate.id > 9007199254740992`:             true,
		`predicate.unsigned == 18446744073709551615u`: true,
		`predicate.half == 2.5 && predicate.half > 2`: true,
		`predicate.huge > 0`:                          false,
		`predicate.exponent > 0`:                      false,
		`predicate["in"][0] == 1`:                     true,
	} {
		c, err := policy.Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Meets(f); (err == nil) != want {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// TestConditionOfNothing: a statement without a predicate meets nothing.
func TestConditionOfNothing(t *testing.T) {
	c, err := policy.Compile(`predicate.x == 1`)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Meets(policy.Facts{}); err == nil {
		t.Error("it passes")
	}
}

// TestConditionBounds: what costs too much is refused, when it is loaded or
// when it is evaluated, and soon.
func TestConditionBounds(t *testing.T) {
	items := make([]any, 3000)
	for i := range items {
		items[i] = map[string]any{"id": fmt.Sprint("CVE-", i), "score": float64(i % 10), "next": []any{"a", "b"}}
	}
	f := policy.Facts{Predicate: map[string]any{"items": items, "text": strings.Repeat("a", 1<<20)}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, tc := range map[string]struct{ expression, want string }{
		"linear":        {`predicate.items.all(i, i.score < 10.0 && i.id.startsWith("CVE-"))`, ""},
		"quadratic":     {`predicate.items.all(i, predicate.items.exists(j, i.id == j.id))`, "cost"},
		"regexp":        {`predicate.items.all(i, predicate.text.matches("(a*)*b") == false)`, "cost"},
		"text":          {`predicate.items.map(i, predicate.text + predicate.text + i.id).size() > 0`, "cost"},
		"joined lists":  {`predicate.items.map(i, predicate.items + predicate.items + predicate.items).size() > 0`, "cost"},
		"long":          {strings.Repeat(" ", 16<<10) + "true", "longer than 16384 bytes"},
		"nodes":         {strings.Repeat("true && ", 2000) + "true", "node count exceeds"},
		"depth":         {strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), "recursion"},
		"brackets":      {strings.Repeat("[", 8000), "does not compile"},
		"nesting":       {`[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, true)))))`, "nesting"},
		"chains":        {`[[1]]` + strings.Repeat(`.map(a, a + a)`, 40) + `.all(a, a == a)`, "nesting"},
		"regexp size":   {`predicate.text.matches("((((a{9}){9}){9}){9}){9}")`, "matches"},
		"always costly": {costly(), "costs more than the limit"},
	} {
		start := time.Now()
		c, err := policy.Compile(tc.expression)
		if err == nil {
			err = c.Meets(f)
		}
		if took := time.Since(start); took > 90*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %.300v; want %q", name, err, tc.want)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := (after.Sys - before.Sys) >> 20; grown > 256 {
		t.Errorf("the memory grew by %d MiB", grown)
	}
}

// TestConditionTime: one step that CEL underrates does not hold up the gate.
func TestConditionTime(t *testing.T) {
	same := strings.TrimSuffix(strings.Repeat("a, ", 200), ", ")
	c, err := policy.Compile(fmt.Sprintf(`[[1]].map(a, [%s]).map(a, [%s]).map(a, [%s]).all(a, a == a)`, same, same, same))
	if err != nil {
		t.Fatal(err)
	}
	policy.Hurry(c, 50*time.Millisecond)
	if err := c.Meets(policy.Facts{}); err == nil || !strings.Contains(err.Error(), "longer than 50ms") {
		t.Error(err)
	}
}

// costly is an expression that goes through a million pairs of its own.
func costly() string {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 100), ",") + "]"
	return list + ".map(a, " + list + ".map(b, " + list + ".map(c, a + b + c))).size() > 0"
}

// TestConditionShared: one condition serves many at once.
func TestConditionShared(t *testing.T) {
	c, err := policy.Compile(`predicate.list.all(v, v.score < 10)`)
	if err != nil {
		t.Fatal(err)
	}
	f := facts(t, predicate)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := c.Meets(f); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := policy.Compile(`predicate.buildDefinition.externalParameters.workflow.ref == "refs/heads/main"`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMeets(b *testing.B) {
	c, err := policy.Compile(`predicate.buildDefinition.externalParameters.workflow.ref == "refs/heads/main"`)
	if err != nil {
		b.Fatal(err)
	}
	f := facts(b, predicate)
	for b.Loop() {
		if err := c.Meets(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	var text []byte
	for _, f := range archive(b, "good.txtar") {
		if f.Name == "c.yaml" {
			text = f.Data
		}
	}
	for b.Loop() {
		if _, err := load("c.yaml", text); err != nil {
			b.Fatal(err)
		}
	}
}
