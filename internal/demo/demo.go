// Package demo shows the main job and three refusals on one machine: an
// embedded registry on loopback, throwaway images, a throwaway key. It leaves
// nothing behind.
package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

// Signgate runs signgate with arguments and returns its exit code. What it
// prints goes to out.
type Signgate func(ctx context.Context, out io.Writer, args ...string) int

// The key backends of the demo.
const (
	BackendFile   = "file"
	BackendPKCS11 = "pkcs11"
)

// stage is what the demo plays on.
type stage struct {
	signgate Signgate
	out      io.Writer
	dir      string // thrown away at the end
	repo     string // registry/repository
	key      []string
	failed   []string
}

// Run plays the demo and tells each step on out. It returns an error when a
// step did not end as it should.
func Run(ctx context.Context, out io.Writer, backend string, signgate Signgate) error {
	dir, err := os.MkdirTemp("", "signgate-demo-")
	if err != nil {
		return fault.Configf("demo_failed", "make room in the folder for temporary files", "the demo needs a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	host, stop, err := startRegistry()
	if err != nil {
		return err
	}
	defer stop()
	s := &stage{signgate: signgate, out: out, dir: dir, repo: host + "/demo/app"}
	if err := s.makeKeys(ctx, backend); err != nil {
		return err
	}
	if err := s.play(ctx); err != nil {
		return err
	}
	if len(s.failed) > 0 {
		return fault.Refusedf("demo_failed", "report it with this output", "%d steps of the demo did not end as they should: %s", len(s.failed), strings.Join(s.failed, ", "))
	}
	fmt.Fprintln(out, "\nThe demo is over: two images passed, what lacked a scan and three attacks were refused, and nothing is left behind.")
	return nil
}

func (s *stage) play(ctx context.Context) error {
	for _, scene := range []func(context.Context) error{s.good, s.unscanned, s.movedTag, s.wrongKey, s.tampered} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) tell(format string, args ...any) { fmt.Fprintf(s.out, "\n# "+format+"\n", args...) }

// pass runs one signgate command as a user would type it; it has to pass.
func (s *stage) pass(ctx context.Context, args ...string) {
	s.step(ctx, fault.Passed, "PASSED", args...)
}

// refuse runs one signgate command that has to be refused with the code.
func (s *stage) refuse(ctx context.Context, code string, args ...string) {
	s.step(ctx, fault.Refused, "refused "+code, args...)
}

func (s *stage) step(ctx context.Context, want fault.Outcome, says string, args ...string) {
	fmt.Fprintf(s.out, "$ signgate %s\n", quote(args))
	var said strings.Builder
	got := s.signgate(ctx, io.MultiWriter(s.out, &said), args...)
	fmt.Fprintf(s.out, "=> exit code %d (%s)\n", got, fault.Outcome(got))
	if got != int(want) || !strings.Contains(said.String(), says) {
		s.failed = append(s.failed, fmt.Sprintf("%s (exit code %d, not %d with %q)", args[0], got, want, says))
	}
}

func quote(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; strings.ContainsAny(a, ";?&* ") {
			out[i] = "'" + a + "'"
		}
	}
	return strings.Join(out, " ")
}

func (s *stage) good(ctx context.Context) error {
	digest, err := s.push(ctx, "1.0")
	if err != nil {
		return err
	}
	s.tell("A build has pushed %s:1.0. Sign it in both formats, then gate it.", s.repo)
	s.pass(ctx, append([]string{"sign", "--digest", digest, s.repo + ":1.0"}, s.key...)...)
	s.pass(ctx, "verify", "--trusted-keys", s.public("release"), s.repo+":1.0")
	return nil
}

// unscanned attests an SBOM and gates on it, and then on a scan that nobody has made.
func (s *stage) unscanned(ctx context.Context) error {
	digest, err := s.push(ctx, "1.1")
	if err != nil {
		return err
	}
	sbom := s.path("sbom.cdx.json")
	text := fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"timestamp":%q,"component":{"type":"container","name":"demo/app","version":%q}}}`, time.Now().UTC().Format(time.RFC3339), digest)
	if err := os.WriteFile(sbom, []byte(text), 0o600); err != nil {
		return err
	}
	s.tell("A release comes with an SBOM. A deployment may ask for that, and for a scan as well.")
	s.pass(ctx, append([]string{"sign", "--sbom-path", sbom, "--digest", digest, s.repo + ":1.1"}, s.key...)...)
	s.pass(ctx, "verify", "--trusted-keys", s.public("release"), "--attestation", "cyclonedx", s.repo+":1.1")
	s.refuse(ctx, "attestation_missing", "verify", "--trusted-keys", s.public("release"), "--attestation", "cyclonedx", "--attestation", "vuln", s.repo+":1.1")
	return nil
}

func (s *stage) movedTag(ctx context.Context) error {
	if _, err := s.push(ctx, "1.0"); err != nil {
		return err
	}
	s.tell("First attack: somebody moves the tag to an image that nobody signed.")
	s.refuse(ctx, "unsigned", "verify", "--trusted-keys", s.public("release"), s.repo+":1.0")
	return nil
}

func (s *stage) wrongKey(ctx context.Context) error {
	digest, err := s.push(ctx, "2.0")
	if err != nil {
		return err
	}
	if err := s.makeFileKey("mallory"); err != nil {
		return err
	}
	s.tell("Second attack: an image is signed with another key than the one that is trusted.")
	s.pass(ctx, "sign", "--key", s.path("mallory.key"), "--digest", digest, s.repo+":2.0")
	s.refuse(ctx, "key_other", "verify", "--trusted-keys", s.public("release"), s.repo+":2.0")
	return nil
}

func (s *stage) tampered(ctx context.Context) error {
	digest, err := s.push(ctx, "3.0")
	if err != nil {
		return err
	}
	s.tell("Third attack: one bit of a good signature is flipped in the registry.")
	s.pass(ctx, append([]string{"sign", "--formats", "simplesigning", "--digest", digest, s.repo + ":3.0"}, s.key...)...)
	if err := flipSignature(ctx, s.repo, digest); err != nil {
		return err
	}
	s.refuse(ctx, "signature_invalid", "verify", "--trusted-keys", s.public("release"), s.repo+":3.0")
	return nil
}

func (s *stage) path(name string) string   { return filepath.Join(s.dir, name) }
func (s *stage) public(name string) string { return s.path(name + ".pub") }

// makeKeys makes the release key in the backend, and writes its public half.
func (s *stage) makeKeys(ctx context.Context, backend string) error {
	switch backend {
	case BackendFile:
		s.tell("Make a throwaway key.")
		s.key = []string{"--key", s.path("release.key")}
		if err := s.makeFileKey("release"); err != nil {
			return err
		}
	case BackendPKCS11:
		s.tell("Make a throwaway SoftHSM token with a key that never leaves it.")
		if err := s.makeToken(ctx); err != nil {
			return err
		}
	default:
		return fault.Configf("input_invalid", "use file or pkcs11", "the demo has no key backend %q", backend)
	}
	return s.exportPublic(ctx)
}

func (s *stage) makeToken(ctx context.Context) error {
	const pin = "2468135790"
	token, err := softhsm.NewToken(ctx, s.dir, "demo", pin)
	if err != nil {
		return err
	}
	if err := token.GenerateKey(ctx, "EC:prime256v1", "01", "release"); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("pin"), []byte(pin), 0o600); err != nil {
		return demoFailed(err)
	}
	s.key = []string{"--key", "pkcs11:token=demo;object=release", "--pkcs11-module", token.Module, "--pkcs11-pin-file", s.path("pin")}
	return os.Setenv("SOFTHSM2_CONF", token.Conf)
}

func (s *stage) exportPublic(ctx context.Context) error {
	var text strings.Builder
	if code := s.signgate(ctx, &text, append([]string{"key", "public"}, s.key...)...); code != 0 {
		return demoFailed(errors.New(text.String()))
	}
	pub := text.String()
	if i := strings.Index(pub, "-----BEGIN"); i > 0 {
		pub = pub[i:]
	}
	return os.WriteFile(s.public("release"), []byte(pub), 0o600)
}

func (s *stage) makeFileKey(name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return demoFailed(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return demoFailed(err)
	}
	return os.WriteFile(s.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func demoFailed(err error) error {
	return fault.Undecidedf("demo_failed", "report it with this output", "the demo could not go on: %w", err)
}
