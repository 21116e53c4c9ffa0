package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The contenders are processes of this program, which here is the test.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == contenderVerb {
		os.Exit(contend(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// A short run: the C program builds, every contender makes signatures that
// verify, and every line has its figures.
func TestRun(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("top\n"+beginMark+endMark+"\nbottom\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"-n", "1", "-d", "20ms", "-write", page}, &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	figures := regexp.MustCompile(`[1-9][0-9.]*( [mµ]s)? +[1-9][0-9.]*( [mµ]s)? +[0-9]+\.[0-9]{2}(  |$)`)
	printed := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, l := range lines {
		got := printed[len(printed)-len(lines)+i]
		if !strings.HasPrefix(got, l.what) || !figures.MatchString(got) {
			t.Errorf("a line %q is printed as %q", l.what, got)
		}
	}
	if text, err := os.ReadFile(page); err != nil || string(text) != "top\n"+beginMark+"```text\n"+out.String()+"```\n"+endMark+"\nbottom\n" {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-d", "0"}, {"more"}, {"-write", "main.go"}, {"-write", "absent"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestCompare(t *testing.T) {
	second := func(n int) sample { return sample{Count: n, Wall: time.Second, CPU: time.Second} }
	r := results{partPool: {second(10), second(90), second(40)}, partC: {second(20), second(100), second(50)}}
	ours, theirs, ratio := r.compare(lines[0])
	if ours != 40 || theirs != 50 || ratio != 0.8 {
		t.Errorf("got %v, %v, %v", ours, theirs, ratio)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		target        target
		ratio         float64
		text, verdict string
	}{
		{target{least: 0.9}, 0.9, "≥ 0.90", "met"},
		{target{least: 0.9}, 0.89, "≥ 0.90", "missed"},
		{target{most: 2.5}, 2.5, "≤ 2.50", "met"},
		{target{most: 2.5}, 2.51, "≤ 2.50", "missed"},
		{target{least: 1.15, cores: 1 << 20}, 1, "≥ 1.15", "needs 1048576 CPUs"},
		{target{}, 1, "", ""},
	} {
		if text, verdict := c.target.String(), c.target.judge(c.ratio); text != c.text || verdict != c.verdict {
			t.Errorf("%+v at %v: got %q, %q", c.target, c.ratio, text, verdict)
		}
	}
}

func TestVerifies(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	other := append([]byte(nil), raw...)
	other[40] ^= 1
	if !verifies(&key.PublicKey, raw) || !verifies(&key.PublicKey, der) || verifies(&key.PublicKey, other) || verifies(&key.PublicKey, nil) {
		t.Error("a good signature does not verify, or a bad one does")
	}
}
