package containerspolicy

import (
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/signer"
)

// signed returns the requirements of a rule's groups, all of which have to be
// met.
func (r *renderer) signed(rule policy.Rule) []requirement {
	var out []requirement
	for _, g := range rule.Require {
		if !slices.Contains(g.Formats, envelope.SimpleSigning) {
			r.drop("the rule %s: %s takes bundles alone, and containers/image reads simple signing alone", rule.Name, g.Name)
		}
		keys := r.usable(rule, g)
		switch {
		case len(keys) < g.Min:
			r.note("the rule %s: nothing can meet %s now, so its images are rejected", rule.Name, g.Name)
			return []requirement{{Type: "reject"}}
		case len(keys) == g.Min:
			for _, k := range keys {
				out = append(out, anyOf(k))
			}
			continue
		case g.Min > 1:
			r.drop("the rule %s: %s asks for %d of %d keys, and any one is asked for", rule.Name, g.Name, g.Min, len(keys))
		}
		out = append(out, anyOf(keys...))
	}
	return out
}

// usable returns the distinct keys of a group that count now and that
// containers/image can use. One that it cannot use would make it refuse the
// others of the same requirement as well.
func (r *renderer) usable(rule policy.Rule, g policy.Group) []envelope.Key {
	var out []envelope.Key
	for _, k := range g.Keys {
		v := rule.Validity[k.Fingerprint]
		kind := signer.KeyType(k.Public)
		switch err := v.Problem(r.now); {
		case slices.ContainsFunc(out, func(o envelope.Key) bool { return o.Fingerprint == k.Fingerprint }):
		case err != nil:
			r.note("the rule %s: the key %s is left out: %v", rule.Name, k.Name, err)
			if v.Revoked == nil {
				r.until(v.NotBefore)
			}
		case kind != "P-256" && kind != "Ed25519" && !strings.HasPrefix(kind, "RSA-"):
			r.note("the rule %s: the key %s is left out: containers/image does not verify %s", rule.Name, k.Name, kind)
		default:
			r.until(v.NotAfter)
			out = append(out, k)
		}
	}
	return out
}

// until notes a time at which the export has to be made again.
func (r *renderer) until(t time.Time) {
	if t.After(r.now) && (r.out.Until.IsZero() || t.Before(r.out.Until)) {
		r.out.Until = t
	}
}

func anyOf(keys ...envelope.Key) requirement {
	var texts [][]byte
	for _, k := range keys {
		// A key of a loaded policy has an encoding; see signer.CheckKey.
		der, err := signer.MarshalPublicKey(k.Public)
		if err != nil {
			return requirement{Type: "reject"}
		}
		texts = append(texts, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	if len(texts) == 1 {
		return requirement{Type: "sigstoreSigned", KeyData: texts[0]}
	}
	return requirement{Type: "sigstoreSigned", KeyDatas: texts}
}
