package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

// maxTrust is the most that is read from one source of trusted keys, in bytes.
const maxTrust = 1 << 20

// trustedKeys reads the input trusted-keys. It returns nothing when it was not
// given.
func (r *run) trustedKeys() ([]envelope.Key, error) {
	var keys []envelope.Key
	err := r.publicKeys("trusted-keys", func(source string, text []byte, found []envelope.Key) {
		sum := sha256.Sum256(text)
		trust := report.Trust{Source: source, SHA256: hex.EncodeToString(sum[:])}
		for _, k := range found {
			trust.Fingerprints = append(trust.Fingerprints, k.Fingerprint)
		}
		r.report.Trust = append(r.report.Trust, trust)
		keys = append(keys, found...)
	})
	if err != nil {
		return nil, err
	}
	return keys, r.checkTrust()
}

// publicKeys reads an input of public keys and calls each with every source.
func (r *run) publicKeys(input string, each func(source string, text []byte, keys []envelope.Key)) error {
	rest := bytes.TrimSpace([]byte(r.get(input)))
	for len(rest) > 0 {
		source, text, after, err := r.nextSource(input, rest)
		if err != nil {
			return err
		}
		keys, err := policy.ParseKeys(source, text)
		if err != nil {
			return err
		}
		each(source, text, keys)
		rest = bytes.TrimSpace(after)
	}
	return nil
}

// nextSource takes one source from an input: a PEM block, env://NAME or a path.
func (r *run) nextSource(input string, rest []byte) (source string, text, after []byte, err error) {
	if bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
		block, after := pem.Decode(rest)
		if block == nil || bytes.Count(rest[:len(rest)-len(after)], []byte("-----BEGIN ")) != 1 {
			return "", nil, nil, badInput(input, "-----BEGIN …", "whole PEM blocks with their lines")
		}
		return "inline", pem.EncodeToMemory(block), after, nil
	}
	line, after, _ := bytes.Cut(rest, []byte("\n"))
	source = strings.TrimSpace(string(line))
	if name, ok := strings.CutPrefix(source, "env://"); ok {
		value, set := r.process.lookup(name)
		if !set {
			return "", nil, nil, fault.Configf("trusted_key_invalid", "set it, or correct the name", "the variable %s of %s is not set", name, input)
		}
		return source, []byte(value), after, nil
	}
	text, err = readFile(input, r.runner.TranslatePath(source), maxTrust)
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
		case pinned || !r.runner.InWorkspace(t.Source):
		case trigger.Untrusted():
			return fault.Configf("trust_unpinned", "set trusted-keys-sha256: "+t.SHA256+" after you have reviewed the file, or give the keys inline",
				"on %s the trusted key file %s of the workspace can come from a stranger", trigger.Event, t.Source)
		case trigger.PullRequest():
			r.warn("on pull_request the trusted key file " + t.Source + " comes from the pull request itself; pin it with trusted-keys-sha256 or give the keys inline")
		}
	}
	return nil
}
