package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"

	"github.com/signgate/signgate/internal/cli"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// run runs the program and returns its exit code and what it prints.
func run(ctx context.Context, s *registrytest.Server, args ...string) (int, string) {
	var out bytes.Buffer
	args = append(args, "--docker-config", login(s))
	code := cli.Main(ctx, cli.Process{Args: args, Stdout: &out, Stderr: &out, Version: "test"})
	return code, out.String()
}

// TestCutShort: a writer that replaced the signature tag of another one and was
// cut short before it could look, or whose other format failed, leaves nothing
// lost when it is run again.
func TestCutShort(t *testing.T) {
	for _, killed := range []bool{true, false} {
		s := registrytest.Start(t, registrytest.Referrers)
		ref := s.Host + "/app@" + s.Push(t, "app:1")
		keyA, pubA := keyPair(t)
		keyB, pubB := keyPair(t)
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		var came atomic.Bool
		s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, ".sig") || came.Swap(true) {
				return false
			}
			signgate(t, s, "sign", "--key", keyA, ref) // between B's reading and B's write
			s.Serve(w, r)
			if killed {
				kill()
			}
			return true
		})
		if code, out := run(ctx, s, "sign", "--key", keyB, ref); killed == (code == 0) {
			t.Errorf("B: exit code %d\n%s", code, out)
		}
		signgate(t, s, "sign", "--key", keyB, ref)
		for _, format := range []string{"simplesigning", "bundle"} {
			signgate(t, s, "verify", "--formats", format, "--threshold", "2", "--trusted-keys", pubA, "--trusted-keys", pubB, ref)
		}
	}
}

// TestOneStore: one digest in several repositories, and one repository for all
// signatures: the run does not fight itself.
func TestOneStore(t *testing.T) {
	for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Fallback} {
		s := registrytest.Start(t, mode)
		key, pub := keyPair(t)
		digest := s.Push(t, "r0:1")
		refs := []string{s.Host + "/r0@" + digest}
		for i := range 5 {
			to := fmt.Sprintf("%s/r%d", s.Host, i+1)
			if err := crane.Copy(refs[0], to+":1", crane.Insecure); err != nil {
				t.Fatal(err)
			}
			refs = append(refs, to+"@"+digest)
		}
		store := []string{"--signature-repository", s.Host + "/signatures"}
		s.Requests()
		signgate(t, s, append(append([]string{"sign", "--settle", "0s", "--key", key}, store...), refs...)...)
		if n := strings.Count(strings.Join(s.Requests(), "\n"), "PUT /v2/signatures/manifests/sha256-"); n > 2 {
			t.Errorf("%s: %d writes of tags, want one for each tag", mode, n)
		}
		for _, format := range []string{"simplesigning", "bundle"} {
			signgate(t, s, append(append([]string{"verify", "--formats", format, "--trusted-keys", pub}, store...), refs...)...)
		}
	}
}

// TestGateReadsAgain: what was signed before and is taken away while the run
// works on other images is not passed by what was read at its beginning.
func TestGateReadsAgain(t *testing.T) {
	s := registrytest.Start(t, registrytest.Fallback)
	key, _ := keyPair(t)
	old := s.Push(t, "old:1")
	oldRef, newRef := s.Host+"/old@"+old, s.Host+"/new@"+s.Push(t, "new:1")
	signgate(t, s, "sign", "--key", key, "--settle", "0s", oldRef)
	var gone atomic.Bool
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && !gone.Swap(true) {
			for _, suffix := range []string{"", ".sig"} {
				if err := crane.Delete(s.Host+"/old:"+strings.Replace(old, ":", "-", 1)+suffix, crane.Insecure); err != nil {
					t.Error(err)
				}
			}
		}
		return false
	})
	if code, out := run(t.Context(), s, "sign", "--key", key, "--settle", "0s", "--retries", "0", oldRef, newRef); code != 1 || !strings.Contains(out, "write_lost") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
