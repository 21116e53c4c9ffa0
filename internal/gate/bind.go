package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/image"
)

// skew is how far ahead a signer's clock may be.
const skew = 5 * time.Minute

// repository is the repository that the signatures have to be for: the image's
// own, or the one that its mirror is remapped to, by the longest beginning.
func (c *check) repository() string {
	own, best := image.Canonical(c.Subject.Repository), ""
	for from := range c.Rule.Bind.Remap {
		if len(from) > len(best) && (own == from || strings.HasPrefix(own, from+"/")) {
			best = from
		}
	}
	if best == "" {
		return own
	}
	return c.Rule.Bind.Remap[best] + strings.TrimPrefix(own, best)
}

// contradiction says how v contradicts the request for one tag, by its
// docker-reference or by its claims.
func (c *check) contradiction(v envelope.Verified, tag string) string {
	if v.Format == envelope.SimpleSigning && v.Reference != "" {
		repository, signedTag, ok := simplesigning.SplitReference(v.Reference)
		switch {
		case !ok:
			return fmt.Sprintf("its docker-reference %q is no reference", v.Reference)
		case repository != c.repository():
			return "it was made for the repository " + repository
		case tag != "" && signedTag != "" && signedTag != tag:
			return "it was made for the tag " + signedTag
		}
	}
	return v.Claims.Contradiction(c.repository(), tag, v.Key.Fingerprint, c.Now)
}

// unbound says which claim that the rule binds v does not make. What it claims
// does not contradict the request.
func (c *check) unbound(v envelope.Verified, tag string) reason {
	bind := c.Rule.Bind
	if _, skipped := c.Rule.Skips("bind"); skipped {
		return reason{}
	}
	repository, tags := signedFor(v)
	switch {
	case bind.Repository && repository == "":
		return reason{"claim_missing", "it does not say for which repository it was made"}
	case bind.Tag && tag == "":
		return reason{"claim_missing", "the policy binds the tag, and the image was named without one"}
	case bind.Tag && !slices.Contains(tags, tag):
		return reason{"claim_missing", "it does not say that it was made for the tag " + tag}
	case bind.Rollback && sequence(v) == 0:
		return reason{"claim_missing", "it has no sequence number"}
	case bind.Rollback && sequence(v) < c.Floor[tag]:
		return reason{"rollback", fmt.Sprintf("its sequence number %d is below %d, which was accepted before", sequence(v), c.Floor[tag])}
	}
	return reason{}
}

// signedFor returns the repository and the tags that v was made for, by its
// claims and by its docker-reference.
func signedFor(v envelope.Verified) (repository string, tags []string) {
	if v.Claims != nil {
		repository, tags = v.Claims.Repository, v.Claims.Tags
	}
	if v.Format == envelope.SimpleSigning && v.Reference != "" {
		if r, tag, ok := simplesigning.SplitReference(v.Reference); ok {
			repository = r
			if tag != "" {
				tags = append(slices.Clone(tags), tag)
			}
		}
	}
	return repository, tags
}

func sequence(v envelope.Verified) int64 {
	if v.Claims == nil {
		return 0
	}
	return v.Claims.Sequence
}

// stale says that v is older than the rule allows, by its signed issue time.
func (c *check) stale(v envelope.Verified) reason {
	if _, skipped := c.Rule.Skips("maxAge"); skipped || c.Rule.MaxAge == 0 {
		return reason{}
	}
	switch {
	case v.Claims == nil || v.Claims.IssuedAt.IsZero():
		return reason{"claim_missing", "it does not say when it was made"}
	case v.Claims.IssuedAt.After(c.Now.Add(skew)):
		return reason{"claims_contradict", "it says that it was made at " + v.Claims.IssuedAt.UTC().Format(time.RFC3339) + ", which is yet to come"}
	case c.Now.Sub(v.Claims.IssuedAt) > c.Rule.MaxAge:
		return reason{"too_old", fmt.Sprintf("it was made at %s (by its own word), longer ago than %s", v.Claims.IssuedAt.UTC().Format(time.RFC3339), span(c.Rule.MaxAge))}
	}
	return reason{}
}

// span prints a duration in days where it has whole ones.
func span(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d == days*24*time.Hour {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}
