package attacks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// attack is a case.yaml. In its texts ${REG} stands for the host of the registry,
// ${app:1.0} for the digest of an image, ${hex app:1.0} for its digits and
// ${fingerprint KEY} for that of a key, ${pem KEY} for the
// key itself, ${now -1h} and ${day 48h} for a time.
type attack struct {
	Registry string            `yaml:"registry"` // its mode; referrers when empty
	Images   []picture         `yaml:"images"`
	Attach   []attachment      `yaml:"attach"` // in this order
	Tags     map[string]string `yaml:"tags"`   // moved after everything is attached
	Answers  []answer          `yaml:"answers"`
	Policy   string            `yaml:"policy"` // policy.yaml in the workspace
	Files    map[string]string `yaml:"files"`  // more of them
	Inputs   map[string]string `yaml:"inputs"`
	Event    string            `yaml:"event"` // of the workflow; the program runs outside of one when empty
	KMS      bool              `yaml:"kms"`   // an endpoint override leads to a key service that is not Amazon's
	Verb     string            `yaml:"verb"`
	Beyond   string            `yaml:"beyond"` // why the package gate has no say in it
	Want     want              `yaml:"want"`
}

// picture is an image, or an index of images that stand above it.
type picture struct {
	Ref      string   `yaml:"ref"`
	Children []string `yaml:"children"`
	Base     string   `yaml:"base"` // the image that it says it was built from
}

// want is what must happen.
type want struct {
	Exit     int               `yaml:"exit"`
	Codes    []string          `yaml:"codes"` // of what did not pass, or when all did, of all findings
	Warning  string            `yaml:"warning"`
	Verified *bool             `yaml:"verified"` // that the report says so; as the exit code says when absent
	Requests *int              `yaml:"requests"` // that the registry sees
	Tags     map[string]string `yaml:"tags"`     // afterwards
	Files    map[string]string `yaml:"files"`    // afterwards, but for white space
}

// attachment is a signature, an attestation or what passes for one.
type attachment struct {
	To     string `yaml:"to"`     // the image; the first when empty
	Key    string `yaml:"key"`    // that signs
	Format string `yaml:"format"` // bundle when empty
	About  string `yaml:"about"`  // the image whose digest is signed; To when empty
	Times  int    `yaml:"times"`  // how many copies, each with other bytes

	Claims      claims            `yaml:"claims"`
	Reference   string            `yaml:"reference"` // of a simple signing payload
	Annotations map[string]string `yaml:"annotations"`
	Predicate   *predicate        `yaml:"predicate"` // makes it an attestation
	Listed      string            `yaml:"listed"`    // the predicate type that the manifest says
	Hint        string            `yaml:"hint"`      // the key that it says it is by

	Statement string `yaml:"statement"` // signed in place of what is made of the above
	Payload   string `yaml:"payload"`
	Bundle    string `yaml:"bundle"` // with ${PAYLOAD}, ${SIGNATURE} and ${HINT}
	Raw       bool   `yaml:"raw"`    // the signature is over the payload, not over its encoding
	Twist     string `yaml:"twist"`  // malleate or flip the signature
}

type predicate struct {
	Type string `yaml:"type"`
	JSON string `yaml:"json"`
}

// claims are those of an honest signer but for what is said here. Times are
// relative to now.
type claims struct {
	None       bool          `yaml:"none"`
	Version    int           `yaml:"version"`
	Critical   []string      `yaml:"critical"`
	Repository *string       `yaml:"repository"`
	Tags       []string      `yaml:"tags"`
	IssuedAt   time.Duration `yaml:"issuedAt"`
	ExpiresAt  time.Duration `yaml:"expiresAt"`
	Sequence   *int64        `yaml:"sequence"`
	Key        string        `yaml:"key"`
}

// answer is what the registry does in place of its duty.
type answer struct {
	Match    string            `yaml:"match"` // the method and path of a request, anchored at its beginning
	Times    int               `yaml:"times"` // how often; always when 0
	Status   int               `yaml:"status"`
	Type     string            `yaml:"type"`
	Body     string            `yaml:"body"`
	Header   map[string]string `yaml:"header"`
	Fill     int               `yaml:"fill"`     // that many bytes more
	Entries  int               `yaml:"entries"`  // a list of that many referrers that nobody has, before its own
	Delay    time.Duration     `yaml:"delay"`    // before it answers as it should
	Spoil    bool              `yaml:"spoil"`    // with another byte at the end
	Drop     bool              `yaml:"drop"`     // the connection ends without an answer
	Redirect bool              `yaml:"redirect"` // by way of another host, which answers the same
	Tag      map[string]string `yaml:"tag"`      // tags that are moved before it answers as it should
}

// load reads all cases.
func load(t *testing.T) map[string]attack {
	t.Helper()
	files, err := filepath.Glob("*/case.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	out := map[string]attack{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var a attack
		dec := yaml.NewDecoder(strings.NewReader(string(text)))
		dec.KnownFields(true)
		if err := dec.Decode(&a); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		slices.Sort(a.Want.Codes)
		out[filepath.Dir(file)] = a
	}
	return out
}
