package storm

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// The formats, as the flag has them.
const (
	bundle        = "bundle"
	simplesigning = "simplesigning"
	both          = simplesigning + "," + bundle
)

// target is an image in a registry of its own, and the key that signs it.
type target struct {
	*registrytest.Server
	repo, digest string // repo without the host
	store        string // the repository of the signatures
	key          key
}

// newTarget starts a registry with one image in it. The registry takes no
// manifest before its blobs.
func newTarget(t *testing.T, mode registrytest.Mode) *target {
	t.Helper()
	x := &target{Server: registrytest.Start(t, mode), repo: "app", store: "app", key: keyring(t, 1)[0]}
	x.SinglePost(mode != registrytest.Fallback) // registries of the old kind have neither
	x.RequireBlobs(true)
	x.digest = x.Push(t, "app:1.0")
	x.Requests()
	return x
}

// image is what the user writes.
func (x *target) image() string { return x.Host + "/" + x.repo + ":1.0" }

// login returns the flags that open the registry.
func (x *target) login() []string {
	if x.Mode != registrytest.Token {
		return nil
	}
	return []string{"--registry-username", registrytest.User, "--registry-password", registrytest.Password}
}

func (x *target) signArgs(formats string, more ...string) []string {
	args := append([]string{"sign", "--key", x.key.private, "--formats", formats, "--digest", x.digest, x.image()}, x.login()...)
	return append(append(args, x.place()...), more...)
}

// place returns the flags that say where the signatures are.
func (x *target) place() []string {
	if x.store == x.repo {
		return nil
	}
	return []string{"--signature-repository", x.Host + "/" + x.store}
}

func (x *target) verifyArgs(formats string, more ...string) []string {
	args := append([]string{"verify", "--trusted-keys", x.key.public, "--formats", formats, x.image()}, x.login()...)
	return append(append(args, x.place()...), more...)
}

// verifyDigestArgs are for a verify that does not ask for the tag.
func (x *target) verifyDigestArgs(formats string, more ...string) []string {
	args := append([]string{"verify", "--trusted-keys", x.key.public, "--formats", formats, x.Host + "/" + x.repo + "@" + x.digest}, x.login()...)
	return append(args, more...)
}

func (x *target) sign(t *testing.T, formats string, more ...string) ended {
	t.Helper()
	return signgate(t, x.signArgs(formats, more...)...)
}

func (x *target) verify(t *testing.T, formats string, more ...string) ended {
	t.Helper()
	return signgate(t, x.verifyArgs(formats, more...)...)
}

// signed signs the image, undisturbed.
func (x *target) signed(t *testing.T, formats string) {
	t.Helper()
	x.sign(t, formats).exits(t, "sign", 0)
	x.Requests()
}

// at makes f answer the requests that match, as "GET .*/referrers/".
func (x *target) at(where string, f http.HandlerFunc) {
	match := regexp.MustCompile("^" + where)
	x.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !match.MatchString(r.Method + " " + r.URL.Path) {
			return false
		}
		f(w, r)
		return true
	})
}

// The tags of the subject, as the specifications name them.
func (x *target) fallbackTag() string  { return strings.Replace(x.digest, ":", "-", 1) }
func (x *target) signatureTag() string { return x.fallbackTag() + ".sig" }
