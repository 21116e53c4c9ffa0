package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/fault"
)

// MaxSize is the most that a policy file may have, in bytes.
const MaxSize = 1 << 20

// longest is how far away the end of an exception may be.
const longest = 90 * 24 * time.Hour

// Source is where a policy comes from.
type Source struct {
	Name string
	Text []byte
	// Read returns a key file that the policy names, by its path as it stands
	// there.
	Read func(path string) ([]byte, error)
	Now  time.Time
}

// Load reads a policy file. Every mistake in it is found; the error is a
// configuration fault ("policy_invalid") that has the first, and Problems
// returns all. The hash of a policy whose keys are inline is that of its text;
// with key files it is the SHA-256 of the text followed, for each of them in the
// order of the file, by a line with the SHA-256 of that file and its path.
func Load(s Source) (*Policy, error) {
	l := &loader{source: s, names: map[string]Key{}}
	if len(s.Text) > MaxSize {
		l.fail(nil, "split the policy", "it is larger than %d bytes", MaxSize)
	} else if root := l.document(s.Text); root != nil {
		l.policy(root)
	}
	if len(l.problems) > 0 {
		return nil, l.err()
	}
	l.out.Name = s.Name
	return &l.out, nil
}

// loader turns the document into a Policy.
type loader struct {
	reader
	source Source
	out    Policy
	names  map[string]Key
	files  bytes.Buffer // lines for the hash
}

// loadError carries all problems.
type loadError struct{ problems []Problem }

func (e *loadError) Error() string { return e.problems[0].String() }

// Problems returns the mistakes that Load found, in the order in which it found
// them.
func Problems(err error) []Problem {
	e, ok := errors.AsType[*loadError](err)
	if !ok {
		return nil
	}
	return e.problems
}

func (l *loader) err() error {
	first := l.problems[0]
	next := first.Fix
	if more := len(l.problems) - 1; more > 0 {
		next += fmt.Sprintf("; signgate policy check shows this and %d more", more)
	}
	e := fault.Configf("policy_invalid", next, "the policy %s:%d:%d: %s", l.source.Name, first.Line, first.Column, first.What)
	e.Err = &loadError{l.problems}
	return e
}

func (l *loader) policy(root *yaml.Node) {
	m := l.mapping(root, "version", "keys", "rules", "exceptions", "roots", "timestampAuthorities")
	if v := l.whole(m["version"]); v != 1 {
		l.fail(orNode(m["version"], root), "write version: 1", "this signgate reads policies of version 1 only")
	}
	for _, later := range []string{"roots", "timestampAuthorities"} {
		if m[later] != nil {
			l.fail(m[later], "remove it and use keys", "%s is for a later version: certificates and timestamps are not checked yet", later)
		}
	}
	if m["keys"] == nil {
		l.fail(root, "add keys: {NAME: {pem: PATH}}", "there are no keys")
	}
	l.pairs(m["keys"], l.key)
	sum := sha256.Sum256(append(append([]byte{}, l.source.Text...), l.files.Bytes()...))
	l.out.SHA256 = hex.EncodeToString(sum[:])
	if m["rules"] == nil {
		l.fail(root, "add rules: [{match: […], require: […]}]", "there are no rules, so nothing could pass")
	}
	for _, n := range l.list(m["rules"]) {
		l.out.Rules = append(l.out.Rules, l.rule(n))
	}
	l.ties(m["rules"])
	for _, n := range l.list(m["exceptions"]) {
		l.out.Exceptions = append(l.out.Exceptions, l.exception(n))
	}
}

func orNode(n, otherwise *yaml.Node) *yaml.Node {
	if n != nil {
		return n
	}
	return otherwise
}

func (l *loader) key(name, value *yaml.Node) {
	m := l.mapping(value, "pem", "notBefore", "notAfter", "revoked")
	k := Key{Source: "inline", Validity: Validity{NotBefore: l.instant(m["notBefore"]), NotAfter: l.instant(m["notAfter"])}}
	if v := k.Validity; !v.NotAfter.IsZero() && !v.NotBefore.Before(v.NotAfter) {
		l.fail(m["notAfter"], "put notAfter after notBefore", "the key %s is never valid", name.Value)
	}
	if n := m["revoked"]; n != nil {
		r := l.mapping(n, "at", "reason")
		k.Revoked = &Revocation{At: l.instant(r["at"]), Reason: l.text(r["reason"])}
	}
	text := []byte(l.text(m["pem"]))
	switch {
	case m["pem"] == nil:
		l.fail(value, "add pem: with the PEM or the path of a file", "the key %s has no pem", name.Value)
		return
	case !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")):
		if k.Source = strings.TrimSpace(string(text)); k.Source == "" {
			return
		}
		if text = l.file(m["pem"], k.Source); text == nil {
			return
		}
	}
	found, err := ParseKeys(name.Value, text)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("it has %d keys", len(found))
	}
	if err != nil {
		l.fail(m["pem"], "give one public key in PEM, as signgate key public prints it", "the key %s cannot be used: %s", name.Value, what(err))
		return
	}
	k.Key = found[0]
	l.names[name.Value] = k
	l.out.Keys = append(l.out.Keys, k)
}

// file reads a key file and adds it to the hash.
func (l *loader) file(n *yaml.Node, path string) []byte {
	if l.source.Read == nil {
		l.fail(n, "write the PEM into the policy; signgate policy pin does it", "this policy may not name files, and %s is one", path)
		return nil
	}
	text, err := l.source.Read(path)
	if err != nil {
		l.fail(n, "correct the path, which is relative to the policy's own folder", "the key file %s cannot be read: %v", path, what(err))
		return nil
	}
	fmt.Fprintf(&l.files, "\n%x  %s", sha256.Sum256(text), path)
	return text
}

// what is the error without its next step.
func what(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.What
	}
	return err.Error()
}

func (l *loader) exception(n *yaml.Node) Exception {
	m := l.mapping(n, "id", "image", "skip", "until", "reason", "by")
	e := Exception{ID: l.text(m["id"]), Reason: l.text(m["reason"]), By: l.text(m["by"]), Until: l.instant(m["until"]), Skip: l.texts(m["skip"])}
	for _, needed := range []string{"id", "image", "skip", "until", "reason"} {
		if m[needed] == nil {
			l.fail(n, "add "+needed+":", "the exception has no %s", needed)
		}
	}
	l.skips(m["skip"], e.Skip)
	if e.Until.After(l.source.Now.Add(longest)) {
		l.fail(m["until"], "choose a nearer end, and renew it when it is still needed", "the exception lasts longer than 90 days")
	}
	e.Image = l.digestReference(m["image"])
	return e
}
