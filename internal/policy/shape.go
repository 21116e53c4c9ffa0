package policy

// shape is what a mapping of the format may hold. docs/policy.schema.json says
// the same to editors, under the same name.
type shape struct {
	what     string   // for messages: "the rule"
	fields   []string // in the order in which messages list them
	required map[string]string
}

// shapes returns all mappings with fixed fields by their names. The text of a
// required field is how to write it.
func shapes() map[string]shape {
	return map[string]shape{
		"policy": {"the policy", []string{"version", "keys", "rules", "exceptions", "roots", "timestampAuthorities"}, map[string]string{
			"version": "version: 1", "keys": "keys: {NAME: {pem: PATH}}", "rules": "rules: [{match: […], require: […]}]",
		}},
		"key":       {"the key", []string{"pem", "notBefore", "notAfter", "revoked"}, map[string]string{"pem": "pem: with the PEM or the path of a file"}},
		"revoked":   {"the revocation", []string{"at", "reason"}, nil},
		"rule":      {"the rule", []string{"match", "require", "maxAge", "bind", "index", "attestations", "base", "mode"}, map[string]string{"match": "match: [REGISTRY/PATH/**]", "require": "require: [{keys: [NAME]}]"}},
		"group":     {"the requirement", []string{"name", "keys", "min", "formats"}, map[string]string{"keys": "keys: [NAME]"}},
		"maxAge":    {"maxAge", []string{"signature"}, map[string]string{"signature": "signature: 90d"}},
		"bind":      {"bind", []string{"repository", "tag", "rollback"}, nil},
		"remapping": {"the binding", []string{"remap"}, map[string]string{"remap": "remap: {MIRROR: ORIGINAL}, or write repository: signed"}},
		"attestation": {"the attestation", []string{"type", "by", "which", "maxAge", "where"}, map[string]string{
			"type": "type: with the predicate type", "by": "by: {keys: [NAME]}",
		}},
		"signers": {"by", []string{"name", "keys", "min"}, map[string]string{"keys": "keys: [NAME]"}},
		"base":    {"base", []string{"mustMatchRule", "digestFrom"}, map[string]string{"mustMatchRule": "mustMatchRule: true, or leave base out"}},
		"exception": {"the exception", []string{"id", "image", "skip", "until", "reason", "by"}, map[string]string{
			"id": "id: with a name of its own", "image": "image: REPOSITORY@sha256:…", "skip": "skip: with what need not be met",
			"until": "until: with a date at most 90 days away", "reason": "reason:",
		}},
	}
}
