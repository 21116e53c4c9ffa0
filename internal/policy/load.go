package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// The limits of a policy file. They are far above what people write and bound
// the time that a hostile one takes.
const (
	MaxSize     = 1 << 20 // bytes
	maxPatterns = 500     // of all rules
	maxKeys     = 200
)

// Source is where a policy comes from.
type Source struct {
	Name string
	Text []byte
	// Read returns a key file that the policy names, by its path as it stands
	// there. Without it a policy may not name files.
	Read func(path string) ([]byte, error)
	Now  time.Time
}

// Load reads a policy file. Every mistake in it is found; the error is a
// configuration fault ("policy_invalid") that has the first, and Problems
// returns all.
//
// The hash of a policy whose keys are inline is the SHA-256 of its text. With
// key files it is the SHA-256 of what sha256sum prints for the text on its
// standard input and then for each key file in the order of the file.
func Load(s Source) (*Policy, error) {
	l := &loader{reader: reader{shapes: shapes()}, source: s, keys: map[string]*Key{}}
	if len(s.Text) > MaxSize {
		l.fail(nil, "split the policy", "the file is larger than %d bytes", MaxSize)
	} else if root := l.document(s.Text); root != nil {
		l.policy(root)
	}
	if len(l.problems) > 0 {
		return nil, l.err(s.Name)
	}
	l.out.Name, l.out.SHA256 = s.Name, l.hash()
	return &l.out, nil
}

// loader turns the document into a Policy.
type loader struct {
	reader
	source   Source
	out      Policy
	keys     map[string]*Key // by name; nil for one that cannot be used, of which everything has been said
	names    []string        // of all keys that have one, in the order of the file
	files    bytes.Buffer    // lines for the hash
	patterns []placed
	misread  bool // some patterns are not among them
	compiler compiler
}

func (l *loader) hash() string {
	sum := sha256.Sum256(l.source.Text)
	if l.files.Len() > 0 {
		sum = sha256.Sum256(append(fmt.Appendf(nil, "%x  -\n", sum), l.files.Bytes()...))
	}
	return hex.EncodeToString(sum[:])
}

func (l *loader) policy(root *yaml.Node) {
	m, _ := l.object(root, "policy")
	if v := m["version"]; v != nil && (v.Tag != "!!int" || v.Value != "1") {
		l.fail(v, "write version: 1", "this is %s, and this signgate reads policies of version 1", shown(v))
	}
	for _, later := range []string{"roots", "timestampAuthorities"} {
		if m[later] != nil {
			l.fail(m[later], "remove it and use keys", "%s is for a later version: certificates and timestamps are not checked yet", later)
		}
	}
	if m["keys"] != nil {
		l.namedKeys(m["keys"])
	}
	for i, n := range l.list(m["rules"]) {
		l.out.Rules = append(l.out.Rules, l.rule(n, i))
	}
	l.ties()
	for _, n := range l.list(m["exceptions"]) {
		l.exception(n)
	}
}

// placed is a pattern and where it stands.
type placed struct {
	Pattern
	rule int
	node *yaml.Node
}

// ties refuses a pattern that matches the same images as one of another rule
// without either being more specific, and one that is there twice.
func (l *loader) ties() {
	if len(l.patterns) > maxPatterns {
		l.fail(l.patterns[maxPatterns].node, "use ** or fewer rules", "the policy has more than %d patterns", maxPatterns)
		return
	}
	for i, p := range l.patterns {
		j := slices.IndexFunc(l.patterns[:i], func(o placed) bool { return p.ties(o.Pattern) && (p.rule != o.rule || p.text == o.text) })
		switch {
		case j < 0:
		case l.patterns[j].text == p.text:
			l.fail(p.node, "keep one of them", "the pattern %s is in line %d already", p, l.patterns[j].node.Line)
		default:
			l.fail(p.node, "make one of them more specific", "the patterns %s and %s (line %d) match the same images, and neither is more specific", p, l.patterns[j], l.patterns[j].node.Line)
		}
	}
}
