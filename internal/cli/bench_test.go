package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

const many = 100 // images of one policy

// BenchmarkPolicy verifies a hundred images of one repository by one policy, at
// 20 ms for each request.
func BenchmarkPolicy(b *testing.B) {
	for _, keys := range []int{1, 2} {
		b.Run(fmt.Sprintf("%d keys", keys), func(b *testing.B) {
			s := registrytest.Start(b, registrytest.Token)
			args, policy := []string{"verify"}, "version: 1\nkeys:\n"
			var privates, groups []string
			for i := range keys {
				private, public := keyPair(b)
				privates = append(privates, "--key="+private)
				policy += fmt.Sprintf("  k%d: {pem: %s}\n", i, public)
				groups = append(groups, fmt.Sprintf("{keys: [k%d]}", i))
			}
			policy += "rules: [{match: [\"" + s.Host + "/**\"], require: [" + strings.Join(groups, ", ") + "], bind: {repository: signed}}]\n"
			path := filepath.Join(b.TempDir(), "policy.yaml")
			if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
				b.Fatal(err)
			}
			var images []string
			for i := range many {
				images = append(images, s.Host+"/app@"+s.Push(b, fmt.Sprintf("app:%d", i)))
			}
			signgate(b, s, append(append([]string{"sign"}, privates...), images...)...)
			args = append(append(args, "--policy="+path), images...)
			s.Delay(20 * time.Millisecond)
			s.Requests()
			runs := 0
			for b.Loop() {
				signgate(b, s, args...)
				runs++
			}
			b.ReportMetric(float64(len(s.Requests()))/float64(runs*many), "requests/image")
		})
	}
}

// TestNoRuleNoRequest: rules are matched before anything is asked of a registry,
// also for the images of a run that have one.
func TestNoRuleNoRequest(t *testing.T) {
	s := registrytest.Start(t, registrytest.Token)
	_, public := keyPair(t)
	path := filepath.Join(t.TempDir(), "policy.yaml")
	policy := "version: 1\nkeys: {k: {pem: " + public + "}}\nrules: [{match: [\"" + s.Host + "/app\"], require: [{keys: [k]}]}]\n"
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Requests()
	if code := exit(t, s, "verify", "--policy", path, s.Host+"/other@"+"sha256:"+strings.Repeat("1", 64), s.Host+"/app-2:latest"); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("%d requests: %q", len(got), got)
	}
	digest := s.Push(t, "app:1")
	s.Requests()
	exit(t, s, "verify", "--policy", path, s.Host+"/other:latest", s.Host+"/app@"+digest)
	for _, r := range s.Requests() {
		if strings.Contains(r, "/other/") {
			t.Errorf("it was asked: %s", r)
		}
	}
}
