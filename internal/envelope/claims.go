package envelope

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/image"
)

// ClaimsKey is the member under which claims stand: in the predicate of a
// bundle and in "optional" of a simple signing payload. It is also the prefix
// that annotations must not use.
const ClaimsKey = "dev.signgate.claims"

// ClaimsVersion is the version of the claims that this build writes and reads.
const ClaimsVersion = 1

// MaxSequence is the largest sequence number: every JSON reader holds it
// exactly.
const MaxSequence = 1<<53 - 1

// Claims are what a signature says beyond the digest. docs/claims.md specifies
// them. Stock verifiers ignore them.
type Claims struct {
	Version    int       `json:"version"`
	Critical   []string  `json:"critical,omitempty"` // members that a reader must understand
	Repository string    `json:"repository,omitempty"`
	Tags       []string  `json:"tags,omitempty"`
	IssuedAt   time.Time `json:"issuedAt,omitzero"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero"`
	Sequence   int64     `json:"sequence,omitempty"`
	Run        *Run      `json:"run,omitempty"`
	Key        *KeyClaim `json:"key,omitempty"`
}

// KeyClaim is the identity of the signing key.
type KeyClaim struct {
	ID          string `json:"id"`
	Fingerprint string `json:"fingerprint"`
}

// Run is the workflow run that signed. Members that the runner did not give
// are absent.
type Run struct {
	Server            string `json:"server,omitempty"`
	Repository        string `json:"repository,omitempty"`
	RepositoryID      string `json:"repositoryId,omitempty"`
	RepositoryOwnerID string `json:"repositoryOwnerId,omitempty"`
	WorkflowRef       string `json:"workflowRef,omitempty"`
	WorkflowSHA       string `json:"workflowSha,omitempty"`
	SHA               string `json:"sha,omitempty"`
	Ref               string `json:"ref,omitempty"`
	Event             string `json:"event,omitempty"`
	RunID             string `json:"runId,omitempty"`
	RunAttempt        string `json:"runAttempt,omitempty"`
	RunnerEnvironment string `json:"runnerEnvironment,omitempty"`
}

// members are the names that this build understands, for "critical".
var members = []string{"version", "critical", "repository", "tags", "issuedAt", "expiresAt", "sequence", "run", "key"}

// ParseClaims reads claims strictly: duplicate members and wrong types are
// errors, unknown members are not, unless "critical" lists them, and so is a
// version that this build does not know.
func ParseClaims(data []byte) (*Claims, error) {
	var c Claims
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("its claims cannot be read: %w", err)
	}
	if c.Version != ClaimsVersion {
		return nil, fmt.Errorf("its claims have the version %d, this signgate reads version %d", c.Version, ClaimsVersion)
	}
	for _, name := range c.Critical {
		if !slices.Contains(members, name) {
			return nil, fmt.Errorf("it has the critical claim %q, which this signgate does not know", name)
		}
	}
	if c.Sequence < 0 || c.Sequence > MaxSequence {
		return nil, fmt.Errorf("its sequence %d is out of range", c.Sequence)
	}
	return &c, nil
}

// Contradiction says how the claims contradict a request for the repository
// and tag at the time now, signed by the key with the fingerprint, and returns
// "" when they do not. An empty tag contradicts nothing.
func (c *Claims) Contradiction(repository, tag, fingerprint string, now time.Time) string {
	switch {
	case c == nil:
		return ""
	case c.Repository != "" && image.Canonical(c.Repository) != image.Canonical(repository):
		return fmt.Sprintf("it was made for the repository %s", c.Repository)
	case tag != "" && len(c.Tags) > 0 && !slices.Contains(c.Tags, tag):
		return fmt.Sprintf("it was made for the tags %s", strings.Join(c.Tags, ", "))
	case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt):
		return "it expired at " + c.ExpiresAt.UTC().Format(time.RFC3339)
	case c.Key != nil && c.Key.Fingerprint != fingerprint:
		return fmt.Sprintf("it claims the key %s", c.Key.Fingerprint)
	}
	return ""
}

// Validity returns the time between issue and expiry, and 0 when the claims
// have no expiry.
func (c *Claims) Validity() time.Duration {
	if c == nil || c.ExpiresAt.IsZero() {
		return 0
	}
	return c.ExpiresAt.Sub(c.IssuedAt)
}
