// Package audit keeps a record of what was signed and decided: a file with one
// line of JSON for each signature, attestation and verdict.
//
// Each line names the hash of the line before it, in "prev", and ends with its
// own:
//
//	{"version":1,"seq":7,"time":"…","prev":"<64 hex>",…,"hash":"<64 hex>"}
//
// The hash is SHA-256 over the bytes of the line before `,"hash":`. The first
// line has seq 1 and the prev Genesis. So a line that was changed, removed,
// moved, repeated or put in is found by whoever reads the file, with a few
// common tools. What is cut off at the end is not, except by somebody who has
// noted a hash: see docs/audit-log.md, which specifies the members.
//
// Writers of several processes take turns by a lock on the file. A line that
// was not written to its end is never repaired here: it is a fact about a
// machine, and a person has to see it.
package audit

import (
	"slices"
	"strings"
	"time"
)

// Version is the version of the lines that this build writes and reads.
const Version = 1

// MaxLine is the most that a line can have, in bytes. What is longer in an
// entry is clipped before.
const MaxLine = 1 << 20

// Genesis is the prev of the first line.
const Genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// The kinds of an entry.
const (
	Signature   = "signature"
	Attestation = "attestation"
	Verdict     = "verdict"
)

// The outcomes of a signature or attestation; those of a verdict are the names
// of fault.Outcome.
const (
	Stored      = "stored"      // read back from the registry, and verified
	Unconfirmed = "unconfirmed" // made, and not seen in the registry by this run
	DryRun      = "dry-run"     // made, and not to be written
)

// Entry is what a line says. Version, Seq, Time and Prev are set when it is
// written.
type Entry struct {
	Version   int               `json:"version"`
	Seq       int64             `json:"seq"`
	Time      time.Time         `json:"time"`
	Prev      string            `json:"prev"`
	Kind      string            `json:"kind"`
	Outcome   string            `json:"outcome"`
	Codes     []string          `json:"codes,omitempty"`
	Command   string            `json:"command"`
	Signgate  string            `json:"signgate"`
	Subject   *Subject          `json:"subject,omitempty"`
	Key       *Key              `json:"key,omitempty"`
	Format    string            `json:"format,omitempty"`
	Predicate string            `json:"predicateType,omitempty"`
	Envelope  string            `json:"envelope,omitempty"` // the digest of the stored envelope, which is a layer of Manifest
	Manifest  string            `json:"manifest,omitempty"`
	RequestID string            `json:"requestId,omitempty"`
	Signers   []string          `json:"signers,omitempty"`   // fingerprints of the keys whose signatures counted
	Attesters []string          `json:"attesters,omitempty"` // of those whose attestations did
	Promoted  []string          `json:"promoted,omitempty"`
	Policy    string            `json:"policySha256,omitempty"`
	Run       map[string]string `json:"run,omitempty"`
	Clipped   bool              `json:"clipped,omitempty"`
}

// Subject is the manifest that an entry is about.
type Subject struct {
	Repository string   `json:"repository"`
	Digest     string   `json:"digest"`
	Tags       []string `json:"tags,omitempty"`
	Platform   string   `json:"platform,omitempty"`
	Index      string   `json:"index,omitempty"` // the index that lists it
}

// Key is a signing key.
type Key struct {
	ID          string `json:"id"`
	Fingerprint string `json:"fingerprint"`
}

const (
	maxText = 1024
	maxItem = 256
	maxList = 64
)

// clip returns the entry with bounded texts and lists, which bounds the line.
func (e Entry) clip() Entry {
	if e.Subject != nil {
		s := *e.Subject
		e.text(&s.Repository, &s.Digest, &s.Platform, &s.Index)
		e.list(&s.Tags)
		e.Subject = &s
	}
	if e.Key != nil {
		k := *e.Key
		e.text(&k.ID, &k.Fingerprint)
		e.Key = &k
	}
	e.text(&e.Kind, &e.Outcome, &e.Command, &e.Signgate, &e.Format, &e.Predicate, &e.Envelope, &e.Manifest, &e.RequestID, &e.Policy)
	e.list(&e.Codes)
	e.list(&e.Signers)
	e.list(&e.Attesters)
	e.list(&e.Promoted)
	run := map[string]string{}
	for name, value := range e.Run {
		e.text(&value)
		run[name] = value
	}
	e.Run = run
	return e
}

func (e *Entry) text(texts ...*string) {
	for _, t := range texts {
		e.cut(t, maxText)
	}
}

func (e *Entry) list(l *[]string) {
	out := slices.Clone(*l)
	if len(out) > maxList {
		out, e.Clipped = out[:maxList], true
	}
	for i := range out {
		e.cut(&out[i], maxItem)
	}
	*l = out
}

func (e *Entry) cut(t *string, n int) {
	if len(*t) > n {
		*t, e.Clipped = strings.ToValidUTF8((*t)[:n], "")+"…", true
	}
}
