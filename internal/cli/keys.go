package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/filesigner"
	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// openKeys opens the key of each line of the input key, checks the pins and
// guards the keys. Close what it returns, also after an error.
func (r *run) openKeys(ctx context.Context) (keys []*signer.Signer, closer func(), err error) {
	var open []io.Closer
	closer = func() {
		for _, c := range open {
			c.Close()
		}
	}
	uris := r.lines("key")
	if len(uris) == 0 {
		uris = []string{""} // for ParseURI to refuse
	}
	for _, raw := range uris {
		key, err := r.openKey(ctx, raw)
		if err != nil {
			return nil, closer, err
		}
		if c, ok := key.(io.Closer); ok {
			open = append(open, c)
		}
		s, err := signer.Guard(key, r.keyRetry())
		if err != nil {
			return nil, closer, err
		}
		if slices.ContainsFunc(keys, func(k *signer.Signer) bool { return k.Fingerprint() == s.Fingerprint() }) {
			return nil, closer, fault.Configf("inputs_contradict", "remove one of its lines", "the key %s is given twice", s.ID())
		}
		keys = append(keys, s)
	}
	return keys, closer, signer.CheckPins(keys, r.list("expected-key"))
}

// openKey is the one switch between the backends.
func (r *run) openKey(ctx context.Context, raw string) (signer.Key, error) {
	uri, err := signer.ParseURI(raw)
	if err != nil {
		return nil, err
	}
	switch uri.Backend {
	case signer.AWSKMS:
		return awskms.Open(ctx, uri.Raw, awskms.Options{LookupEnv: r.process.lookup, Notice: func(s string) { r.say("%s", s) }, Retry: r.keyRetry()})
	case signer.PKCS11:
		return pkcs11signer.Open(ctx, uri.Raw, pkcs11signer.Options{
			Module: r.runner.TranslatePath(r.get("pkcs11-module")), PIN: r.get("pkcs11-pin"), PINFile: r.runner.TranslatePath(r.get("pkcs11-pin-file")),
			Getenv: r.process.getenv, Workspace: r.process.getenv("GITHUB_WORKSPACE"), AllowWorkspaceModule: r.AllowWorkspaceModule, Warn: r.warn,
		})
	}
	r.warn("the key is a file: whoever can read the file can sign; use awskms:// or pkcs11: for releases")
	if !strings.HasPrefix(uri.Raw, "env://") {
		uri.Raw = r.runner.TranslatePath(uri.Raw)
	}
	return filesigner.Open(ctx, uri.Raw, filesigner.Options{LookupEnv: r.process.lookup})
}

// checkRedirected refuses a key whose backend the environment has moved,
// unless something says which key is meant.
func (r *run) checkRedirected(keys []*signer.Signer) error {
	for _, k := range keys {
		if to := k.RedirectedTo(); to != "" && len(r.list("expected-key")) == 0 && r.get("trusted-keys") == "" {
			return fault.Configf("backend_redirected", "set expected-key to the key's fingerprint, or trusted-keys, or remove the override",
				"an endpoint override sends the calls for %s to %s, and nothing says which key is expected", k.ID(), to)
		}
	}
	return nil
}

// describeKeys puts the keys of the run into the report and warns of readers
// that cannot verify with them.
func (r *run) describeKeys(keys []*signer.Signer) error {
	for _, k := range keys {
		text, err := publicPEM(k)
		if err != nil {
			return err
		}
		r.report.Keys = append(r.report.Keys, report.Key{ID: k.ID(), Type: signer.KeyType(k.Public()), Fingerprint: k.Fingerprint(), PublicKey: text})
		if w := envelope.ReaderWarning(k.Public()); w != "" {
			r.warn(w)
		}
	}
	return nil
}

func publicPEM(k *signer.Signer) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

// maxTrust is the most that is read from one source of trusted keys, in bytes.
const maxTrust = 1 << 20

// trustedKeys reads the input trusted-keys. It returns nothing when it was not
// given.
func (r *run) trustedKeys() ([]envelope.Key, error) {
	var keys []envelope.Key
	rest := []byte(r.get("trusted-keys"))
	for len(bytes.TrimSpace(rest)) > 0 {
		source, text, after, err := r.nextTrust(bytes.TrimSpace(rest))
		if err != nil {
			return nil, err
		}
		rest = after
		found, err := policy.ParseKeys(source, text)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		trust := report.Trust{Source: source, SHA256: hex.EncodeToString(sum[:])}
		for _, k := range found {
			trust.Fingerprints = append(trust.Fingerprints, k.Fingerprint)
		}
		r.report.Trust = append(r.report.Trust, trust)
		keys = append(keys, found...)
	}
	return keys, r.checkTrust()
}

// nextTrust takes one source from the input: a PEM block, env://NAME or a path.
func (r *run) nextTrust(rest []byte) (source string, text, after []byte, err error) {
	if bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
		block, after := pem.Decode(rest)
		if block == nil {
			return "", nil, nil, badInput("trusted-keys", "-----BEGIN …", "whole PEM blocks with their lines")
		}
		return "inline", pem.EncodeToMemory(block), after, nil
	}
	line, after, _ := bytes.Cut(rest, []byte("\n"))
	source = strings.TrimSpace(string(line))
	if name, ok := strings.CutPrefix(source, "env://"); ok {
		value, set := r.process.lookup(name)
		if !set {
			return "", nil, nil, fault.Configf("trusted_key_invalid", "set it, or correct the name", "the variable %s of trusted-keys is not set", name)
		}
		return source, []byte(value), after, nil
	}
	text, err = readFile("trusted-keys", r.runner.TranslatePath(source), maxTrust)
	return source, text, after, err
}

// checkTrust refuses trusted keys that whoever opened the pull request may
// have written. Inline text and variables come from the workflow itself.
func (r *run) checkTrust() error {
	sums := r.list("trusted-keys-sha256")
	for _, t := range r.report.Trust {
		if t.Source == "inline" || strings.HasPrefix(t.Source, "env://") {
			continue
		}
		pinned := slices.Contains(sums, t.SHA256)
		trigger := r.runner.Trigger()
		switch {
		case len(sums) > 0 && !pinned:
			return fault.Refusedf("trust_mismatch", "review the file; if the change is right, change trusted-keys-sha256",
				"the trusted key file %s has the SHA-256 %s, which is not in trusted-keys-sha256", t.Source, t.SHA256)
		case pinned || !r.inWorkspace(t.Source):
		case trigger.Untrusted():
			return fault.Configf("trust_unpinned", "set trusted-keys-sha256: "+t.SHA256+" after you have reviewed the file, or give the keys inline",
				"on %s the trusted key file %s of the workspace can come from a stranger", trigger.Event, t.Source)
		case trigger.PullRequest():
			r.warn("on pull_request the trusted key file " + t.Source + " comes from the pull request itself; pin it with trusted-keys-sha256 or give the keys inline")
		}
	}
	return nil
}

func (r *run) inWorkspace(path string) bool {
	workspace := r.process.getenv("GITHUB_WORKSPACE")
	if workspace == "" {
		return false
	}
	abs, err := filepath.Abs(r.runner.TranslatePath(path))
	return err != nil || within(workspace, abs)
}

func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
