package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
)

// TestMain is also the writer of TestSixteenProcesses.
func TestMain(m *testing.M) {
	if path := os.Getenv("AUDIT_WRITER"); path != "" {
		for i := range 8 {
			if err := write(path, fmt.Sprintf("%d-%d", os.Getpid(), i), "again"); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// write adds an entry for each repository, in one call.
func write(path string, repositories ...string) error {
	log, err := Open(context.Background(), path)
	if err != nil {
		return err
	}
	var entries []Entry
	for _, r := range repositories {
		entries = append(entries, Entry{Kind: Signature, Outcome: Stored, Command: "sign", Subject: &Subject{Repository: r}})
	}
	_, err = log.Append(context.Background(), entries...)
	return err
}

func newLog(t *testing.T, lines int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	for i := range lines {
		if err := write(path, fmt.Sprintf("ghcr.io/acme/app%d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func load(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func check(t *testing.T, data []byte) Checked {
	t.Helper()
	c, err := Check(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChain(t *testing.T) {
	path := newLog(t, 3)
	if err := write(path, "four", "five"); err != nil {
		t.Fatal(err)
	}
	data := load(t, path)
	c := check(t, data)
	if c.Lines != 5 || c.Problems != nil || c.First.IsZero() || c.Last.Before(c.First) {
		t.Errorf("%+v", c)
	}
	var first, last struct{ Prev, Hash string }
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	for i, to := range map[int]any{0: &first, 4: &last} {
		if err := json.Unmarshal(lines[i], to); err != nil {
			t.Fatal(err)
		}
	}
	if first.Prev != Genesis || last.Hash != c.Head {
		t.Errorf("%+v, %+v, head %s", first, last, c.Head)
	}
	for hash, want := range map[string]int{first.Hash: 4, last.Hash: 0} {
		if after, found := c.After(hash); !found || after != want {
			t.Errorf("After(%s) = %d, %v; want %d", hash, after, found, want)
		}
	}
	for _, hash := range []string{strings.Repeat("1", 64), Genesis} {
		if _, found := c.After(hash); found {
			t.Errorf("%s is found, and not there", hash)
		}
	}
}

// reseal gives a changed line the hash of what it says now.
func reseal(line string) string {
	body := line[:len(line)-tailSize]
	return body + tailStart + sum([]byte(body)) + tailEnd
}

// TestTampering changes a log of eight lines and expects to hear which line and
// what.
func TestTampering(t *testing.T) {
	intact := strings.Split(strings.TrimSuffix(string(load(t, newLog(t, 8))), "\n"), "\n")
	foreign := strings.Split(strings.TrimSuffix(string(load(t, newLog(t, 8))), "\n"), "\n")
	edited := strings.Replace(intact[4], "app5", "appX", 1)
	crafted := reseal(strings.Replace(strings.Replace(intact[4], "app5", "evil", 1), `"codes"`, `"codes"`, 1))
	join := func(parts ...[]string) (out []string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	for name, tc := range map[string]struct {
		lines []string
		want  string // line:code …
	}{
		"intact":                      {intact, ""},
		"empty":                       {nil, ""},
		"the end is cut off":          {intact[:6], ""}, // only a noted hash shows it
		"a line is changed":           {join(intact[:4], []string{edited}, intact[5:]), "5:audit_changed"},
		"its seq is changed":          {join(intact[:4], []string{strings.Replace(intact[4], `"seq":5`, `"seq":9`, 1)}, intact[5:]), "5:audit_changed"},
		"its hash is changed":         {join(intact[:4], []string{intact[4][:len(intact[4])-6] + "0000\"}"}, intact[5:]), "5:audit_changed"},
		"changed and hashed anew":     {join(intact[:4], []string{crafted}, intact[5:]), "5:audit_changed"},
		"the last is hashed anew":     {join(intact[:7], []string{reseal(strings.Replace(intact[7], "app8", "evil", 1))}), ""}, // the same
		"a line is removed":           {join(intact[:4], intact[5:]), "5:audit_removed"},
		"three are removed":           {join(intact[:2], intact[5:]), "3:audit_removed"},
		"the first is removed":        {intact[1:], "1:audit_removed"},
		"two are swapped":             {join(intact[:4], []string{intact[5], intact[4]}, intact[6:]), "5:audit_reordered 6:audit_reordered"},
		"one is moved to the end":     {join(intact[:2], intact[3:], intact[2:3]), "3:audit_reordered 8:audit_reordered"},
		"one is moved to the front":   {join(intact[5:6], intact[:5], intact[6:]), "1:audit_reordered"},
		"a line is there twice":       {join(intact[:5], intact[4:]), "6:audit_duplicated"},
		"twice, far apart":            {join(intact[:6], intact[2:3], intact[6:]), "7:audit_duplicated"},
		"a crafted line is put in":    {join(intact[:4], []string{crafted}, intact[4:]), "5:audit_inserted"},
		"one of another log":          {join(intact[:4], foreign[4:5], intact[4:]), "5:audit_inserted"},
		"the first of another log":    {join(intact[:4], foreign[:1], intact[4:]), "5:audit_inserted"},
		"a line that is none":         {join(intact[:4], []string{"hello"}, intact[4:]), "5:audit_malformed"},
		"an empty line":               {join(intact[:4], []string{""}, intact[4:]), "5:audit_malformed"},
		"one in place of another":     {join(intact[:4], []string{"hello"}, intact[5:]), "5:audit_malformed"},
		"one in place of three":       {join(intact[:4], []string{"hello"}, intact[7:]), "5:audit_malformed 6:audit_removed"},
		"a member twice":              {join(intact[:4], []string{reseal(strings.Replace(intact[4], `"seq":5`, `"seq":5,"seq":5`, 1))}, intact[5:]), "5:audit_malformed"},
		"a number that is left out":   {join(intact[:4], []string{reseal(strings.Replace(intact[4], `"seq":5`, `"seq":6`, 1))}), "5:audit_inserted"},
		"two kinds at once":           {join(intact[:2], []string{strings.Replace(intact[2], "app3", "appY", 1)}, intact[3:5], intact[6:]), "3:audit_changed 6:audit_removed"},
		"the beginning is another's":  {join(foreign[:4], intact[4:]), "4:audit_changed"},
		"everything is another's":     {foreign, ""},
		"the whole of it, once again": {join(intact, intact), "9:audit_duplicated 10:audit_duplicated 11:audit_duplicated 12:audit_duplicated 13:audit_duplicated 14:audit_duplicated 15:audit_duplicated 16:audit_duplicated"},
	} {
		t.Run(name, func(t *testing.T) {
			text := ""
			for _, l := range tc.lines {
				text += l + "\n"
			}
			var got []string
			for _, p := range check(t, []byte(text)).Problems {
				got = append(got, fmt.Sprintf("%d:%s", p.Line, p.Code))
			}
			if s := strings.Join(got, " "); s != tc.want {
				t.Errorf("got %q, want %q", s, tc.want)
			}
		})
	}
}

// TestEveryByte changes each byte of a log, one at a time.
func TestEveryByte(t *testing.T) {
	data := load(t, newLog(t, 3))
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if c := check(t, changed); c.Problems == nil && c.Lines == 3 {
			t.Errorf("byte %d: a change of %q is not found", i, data[i])
		}
	}
}

func TestTornLine(t *testing.T) {
	path := newLog(t, 3)
	data := load(t, path)
	two := bytes.Count(data, nil) - 1 - len(data[bytes.LastIndexByte(data[:len(data)-1], '\n')+1:])
	for _, cut := range []int{2, 50} {
		if err := os.WriteFile(path, data[:len(data)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		err := write(path, "next")
		if fault.CodeOf(err) != "audit_torn" || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), fmt.Sprintf("truncate -s %d '%s'", two, path)) {
			t.Errorf("cut by %d: %v; two lines have %d bytes", cut, err, two)
		}
		if got := load(t, path); !bytes.Equal(got, data[:len(data)-cut]) {
			t.Errorf("cut by %d: the file was touched", cut)
		}
		if c := check(t, load(t, path)); len(c.Problems) != 1 || c.Problems[0].Code != "audit_torn" || c.Problems[0].Line != 3 {
			t.Errorf("cut by %d: %+v", cut, c.Problems)
		}
	}
	if err := os.Truncate(path, int64(two)); err != nil {
		t.Fatal(err)
	}
	if err := write(path, "next"); err != nil {
		t.Errorf("after the cut that the message names: %v", err)
	}
	if c := check(t, load(t, path)); c.Lines != 3 || c.Problems != nil {
		t.Errorf("%+v", c)
	}
}

// TestLongTornLine: what is too long for a line is one line, also without an end.
func TestLongTornLine(t *testing.T) {
	data := append(load(t, newLog(t, 1)), bytes.Repeat([]byte("x"), 3*MaxLine)...)
	for end, code := range map[string]string{"": "audit_torn", "\n": "audit_malformed"} {
		if c := check(t, append(bytes.Clone(data), end...)); c.Lines != 2 || len(c.Problems) != 1 || c.Problems[0].Code != code {
			t.Errorf("%d lines, %+v, want %s", c.Lines, c.Problems, code)
		}
	}
}

// TestLineBreakMissing: a line that says all that was written is not to be cut
// off, and the way out that the message names is one.
func TestLineBreakMissing(t *testing.T) {
	for _, lines := range []int{1, 3} {
		path := filepath.Join(t.TempDir(), "it's $(touch x) a log")
		intact := load(t, newLog(t, lines))
		if err := os.WriteFile(path, intact[:len(intact)-1], 0o600); err != nil {
			t.Fatal(err)
		}
		c := check(t, load(t, path))
		if len(c.Problems) != 1 || c.Problems[0].Code != "audit_torn" || !strings.Contains(c.Problems[0].What, "only its line break is missing") || c.Lines != lines {
			t.Errorf("%+v", c)
		}
		if after, found := c.After(check(t, intact).Head); !found || after != 0 {
			t.Errorf("the last line is not found by its hash: %d, %v", after, found)
		}
		err := write(path, "next")
		if fault.CodeOf(err) != "audit_torn" || fault.OutcomeOf(err) != fault.Config || strings.Contains(err.Error(), "truncate") {
			t.Fatal(err)
		}
		_, command, _ := strings.Cut(err.Error(), "put it back: ")
		if sh, missing := exec.LookPath("sh"); missing == nil {
			if out, err := exec.Command(sh, "-c", command).CombinedOutput(); err != nil {
				t.Errorf("%s: %v, %s", command, err, out)
			}
			if !bytes.Equal(load(t, path), intact) {
				t.Errorf("the file is not intact after %s", command)
			}
		}
	}
}

func TestQuote(t *testing.T) {
	for path, want := range map[string]string{"/a b": "'/a b'", "/a'b": `'/a'\''b'`, "/a\nb": "FILE", "/\xff": "FILE", "/\u202ea": "FILE", "/é": "'/é'"} {
		if got := quote(path); got != want {
			t.Errorf("quote(%q) = %s, want %s", path, got, want)
		}
	}
}

func TestCannotBeAddedTo(t *testing.T) {
	changed := newLog(t, 2)
	if err := os.WriteFile(changed, bytes.Replace(load(t, changed), []byte("app2"), []byte("appX"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, append(load(t, newLog(t, 1)), bytes.Repeat([]byte("x"), MaxLine+10)...), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]string{changed: "audit_broken", text: "audit_broken", long: "audit_broken", t.TempDir(): "audit_unwritable", filepath.Join(t.TempDir(), "none", "log"): "audit_unwritable"} {
		if _, err := Open(context.Background(), path); fault.CodeOf(err) != code || fault.OutcomeOf(err) != fault.Config {
			t.Errorf("%s: %v, want %s", path, err, code)
		}
	}
}

func TestLocked(t *testing.T) {
	path := newLog(t, 1)
	f, err := lock(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, path); fault.CodeOf(err) != "audit_locked" || fault.OutcomeOf(err) != fault.Undecided {
		t.Errorf("%v", err)
	}
}

// TestSixteenProcesses: writers in processes of their own lose and mix nothing,
// and what one adds in a call stays together.
func TestSixteenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "AUDIT_WRITER="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	data := load(t, path)
	if c := check(t, data); c.Lines != 16*8*2 || c.Problems != nil {
		t.Errorf("%d lines, %+v", c.Lines, c.Problems)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.Contains(line, `"again"`) != (i%2 == 1) {
			t.Fatalf("line %d is not where its writer put it", i+1)
		}
	}
}

// TestHostileNames: whatever a name holds, it stays in its string and its line.
func TestHostileNames(t *testing.T) {
	path := newLog(t, 0)
	names := []string{"a\nb", `x","hash":"` + Genesis + `"}`, "##[command]", "\u2028 \xff \x00", strings.Repeat("é", 5000)}
	if err := write(path, names...); err != nil {
		t.Fatal(err)
	}
	data := load(t, path)
	if c := check(t, data); c.Lines != len(names) || c.Problems != nil {
		t.Errorf("%+v", c)
	}
	if bytes.Contains(data, []byte("##[")) {
		t.Error("the runner would find a command")
	}
	lines := bytes.Split(data, []byte("\n"))
	for i, name := range names[:3] {
		if e, _, err := decode(lines[i]); err != nil || e.Subject.Repository != name || e.Clipped {
			t.Errorf("%q: %+v, %v", name, e, err)
		}
	}
	if e, _, err := decode(lines[4]); err != nil || !e.Clipped || len(e.Subject.Repository) > maxText+3 {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestLargestLine: what is clipped fits into a line, however it is escaped.
func TestLargestLine(t *testing.T) {
	bad := strings.Repeat("\x01", 2000)
	many := strings.Split(strings.Repeat(bad+",", 200), ",")
	e := Entry{Kind: bad, Outcome: bad, Command: bad, Signgate: bad, Format: bad, Predicate: bad, Envelope: bad, Manifest: bad, RequestID: bad, Policy: bad,
		Codes: many, Signers: many, Attesters: many, Promoted: many, Run: map[string]string{},
		Subject: &Subject{bad, bad, many, bad, bad}, Key: &Key{bad, bad}}
	for i := range 20 {
		e.Run[fmt.Sprint(i)] = bad
	}
	if line, _, err := encode(e.clip()); err != nil || len(line) > MaxLine {
		t.Errorf("%d bytes, %v", len(line), err)
	}
}

// TestByHand follows the way of docs/audit-log.md with the tools that it names.
func TestByHand(t *testing.T) {
	for _, tool := range []string{"sh", "sed", "tr", "sha256sum", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
	_, script, _ := strings.Cut(string(load(t, "../../docs/audit-log.md")), "By hand, for line 3:\n\n```sh\n")
	script, _, _ = strings.Cut(script, "```")
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(script, "sha256sum", "sha256sum | cut -c1-64"))
	cmd.Dir = filepath.Dir(newLog(t, 4))
	out, err := cmd.Output()
	if got := strings.Fields(string(out)); err != nil || len(got) != 3 || got[0] != got[1] || got[1] != got[2] {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzCheck(f *testing.F) {
	e := Entry{Version: Version, Seq: 1, Prev: Genesis, Kind: Verdict}
	line, _, err := encode(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(line, '\n'))
	f.Add([]byte("\n\n{}\n" + string(line)))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Check(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if c.Problems == nil && len(data) > 0 && data[len(data)-1] != '\n' {
			t.Error("a torn line is not found")
		}
		// what passes has the chain, line by line
		prev := Genesis
		for i, l := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
			if c.Problems != nil || len(data) == 0 {
				break
			}
			e, hash, err := decode([]byte(l))
			if err != nil || e.Prev != prev || e.Seq != int64(i+1) {
				t.Errorf("line %d passes: %v", i+1, err)
			}
			prev = hash
		}
	})
}
