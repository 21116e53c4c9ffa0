package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
)

func (l *loader) namedKeys(n *yaml.Node) {
	ok := l.pairs(n, "keys", func(name, value *yaml.Node) {
		l.keys[name.Value] = nil
		named := l.name(name) != ""
		if i := slices.IndexFunc(l.names, func(o string) bool { return strings.EqualFold(o, name.Value) }); i >= 0 {
			l.fail(name, "rename one of them", "%s and %s differ only in their case", quote(l.names[i]), quote(name.Value))
		}
		if named {
			l.names = append(l.names, name.Value)
		}
		if k, ok := l.key(name.Value, value); ok && named {
			l.keys[name.Value] = &k
			l.out.Keys = append(l.out.Keys, k)
		}
	})
	switch {
	case ok && len(n.Content) == 0:
		l.fail(n, "add NAME: {pem: PATH}", "there are no keys")
	case len(n.Content)/2 > maxKeys:
		l.fail(n, "split the policy", "the policy has more than %d keys", maxKeys)
	}
}

func (l *loader) key(name string, n *yaml.Node) (k Key, ok bool) {
	m, ok := l.object(n, "key")
	k = Key{Source: "inline", Validity: Validity{NotBefore: l.instant(m["notBefore"]), NotAfter: l.instant(m["notAfter"])}}
	if v := k.Validity; !v.NotAfter.IsZero() && !v.NotBefore.Before(v.NotAfter) {
		l.fail(m["notAfter"], "put notAfter after notBefore", "the key %s is never valid", quote(name))
	}
	if n := m["revoked"]; n != nil {
		r, _ := l.object(n, "revoked")
		k.Revoked = &Revocation{At: l.instant(r["at"]), Reason: l.text(r["reason"])}
	}
	text := []byte(l.raw(m["pem"]))
	if path := string(bytes.TrimSpace(text)); path != "" && !strings.HasPrefix(path, "-----BEGIN ") {
		k.Source, text = path, l.keyFile(m["pem"], path)
	}
	if !ok || len(text) == 0 {
		return k, false
	}
	k.Key, ok = l.publicKey(m["pem"], name, text)
	return k, ok
}

// publicKey reads a PEM text that has to hold one public key.
func (l *loader) publicKey(n *yaml.Node, name string, text []byte) (envelope.Key, bool) {
	found, err := ParseKeys(name, text)
	fix := "give one public key in PEM, as signgate key public prints it"
	switch block, _ := pem.Decode(text); {
	case block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY"):
		fix = "take it out of the policy, replace the key if others could read it, and give the public key, as signgate key public prints it"
	case err == nil && len(found) != 1:
		err = badKey(name, fmt.Sprintf("it has %d keys", len(found)))
		fix = "give each key a name of its own"
	}
	if err != nil {
		l.fail(n, fix, "%s", what(err))
		return envelope.Key{}, false
	}
	return found[0], true
}

// keyFile reads a key file and adds it to the hash.
func (l *loader) keyFile(n *yaml.Node, path string) []byte {
	if l.text(n) == "" {
		return nil
	}
	if l.source.Read == nil {
		l.fail(n, "write the PEM into the policy; signgate policy pin does it", "this policy may not name files, and %s is one", quote(path))
		return nil
	}
	text, err := l.source.Read(path)
	if err == nil && len(text) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		l.fail(n, "correct the path, which is relative to the policy's own folder", "the key file %s cannot be read: %s", quote(path), what(err))
		return nil
	}
	fmt.Fprintf(&l.files, "%x  %s\n", sha256.Sum256(text), path)
	return text
}

// what is the error without its next step, on one line.
func what(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return oneLine(f.What)
	}
	return oneLine(err.Error())
}

// oneLine returns the text with every white space as one space.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
