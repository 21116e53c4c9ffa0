// Package recipes runs the policies of docs/recipes against images that pass
// and images that do not.
package recipes

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/cli"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// recipe is a policy of docs/recipes in a folder of its own, with keys that were
// made for it and a registry in the place of the one that it names.
type recipe struct {
	*registrytest.Server
	t    *testing.T
	dir  string
	keys map[string]*ecdsa.PrivateKey // by the name that the policy gives them
}

// open reads a policy and puts the registry in the place of host, which is the
// beginning of its patterns.
func open(t *testing.T, name, host string) *recipe {
	t.Helper()
	r := &recipe{Server: registrytest.Start(t, registrytest.Referrers), t: t, dir: t.TempDir(), keys: map[string]*ecdsa.PrivateKey{}}
	text, err := os.ReadFile(filepath.Join("../../docs/recipes", name, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	until := "until: " + time.Now().AddDate(0, 0, 30).Format(time.DateOnly)
	policy := regexp.MustCompile(`until: [0-9-]+`).ReplaceAllString(strings.ReplaceAll(string(text), host, r.Host), until)
	for _, m := range regexp.MustCompile(`keys/([a-z0-9-]+)\.pub`).FindAllStringSubmatch(policy, -1) {
		r.key(m[1])
	}
	r.write("policy.yaml", []byte(policy))
	return r
}

// key makes a key: NAME.key, and keys/NAME.pub.
func (r *recipe) key(name string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys[name] = key
	r.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	r.write("keys/"+name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}

func (r *recipe) write(name string, data []byte) {
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// edit replaces text in the policy.
func (r *recipe) edit(old, with string) {
	path := filepath.Join(r.dir, "policy.yaml")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		r.t.Fatalf("the policy has no %q (%v)", old, err)
	}
	r.write("policy.yaml", []byte(strings.ReplaceAll(string(text), old, with)))
}

// signgate runs the program and returns its exit code and what it printed.
func (r *recipe) signgate(args ...string) (code int, output string) {
	var out bytes.Buffer
	code = cli.Main(context.Background(), cli.Process{Args: args, Environ: []string{"HOME=" + r.dir}, Stdout: &out, Stderr: &out, Version: "test"})
	return code, out.String()
}

// sign signs a pushed image with keys: "app:1.4", "kms-26", flags.
func (r *recipe) sign(image, digest string, args ...string) {
	r.t.Helper()
	all := []string{"sign", "--digest", digest, r.Host + "/" + image}
	for _, a := range args {
		if r.keys[a] != nil {
			a = "--key=" + filepath.Join(r.dir, a+".key")
		}
		all = append(all, a)
	}
	if code, output := r.signgate(all...); code != 0 {
		r.t.Fatalf("sign %v: %d\n%s", args, code, output)
	}
}

// passes checks that verify admits the image.
func (r *recipe) passes(image string, flags ...string) {
	r.t.Helper()
	if code, output := r.verify(image, flags); code != 0 || !strings.Contains(output, "PASSED: the required") {
		r.t.Errorf("%s does not pass: %d\n%s", image, code, output)
	}
}

// refuses checks that verify refuses the image with the code.
func (r *recipe) refuses(why, image string, flags ...string) {
	r.t.Helper()
	code, output := r.verify(image, flags)
	if code != 1 || !strings.Contains(output, "refused "+why+": ") {
		r.t.Errorf("%s is not refused with %s: %d\n%s", image, why, code, output)
	}
}

func (r *recipe) verify(image string, flags []string) (int, string) {
	if !strings.Contains(image, "/") || !strings.Contains(strings.SplitN(image, "/", 2)[0], ".") {
		image = r.Host + "/" + image
	}
	return r.signgate(append([]string{"verify", "--policy", filepath.Join(r.dir, "policy.yaml"), image}, flags...)...)
}
