package cli

import (
	"path/filepath"
	"slices"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

// rules says what is required of an image, before anything is asked of its
// registry.
type rules func(repository string) (policy.Rule, error)

// verifyRules returns the rules of verify: those of the policy, or the trusted
// keys for every image.
func (r *run) verifyRules() (rules, error) {
	if r.get("policy") != "" {
		return r.policyRules()
	}
	for _, name := range []string{"policy-sha256", "rollback-state", "minimum-sequence"} {
		if r.get(name) != "" {
			return nil, fault.Configf("inputs_contradict", "set policy, or remove "+name, "%s is given without policy", name)
		}
	}
	trusted, err := r.trustedKeys()
	if err != nil {
		return nil, err
	}
	if len(trusted) == 0 {
		return nil, fault.Configf("trust_missing", "set trusted-keys to the PEM of the public key, which signgate key public prints, or policy", "nothing says whose signatures count")
	}
	group := policy.Group{Name: "trusted-keys", Keys: trusted, Min: r.Threshold, Formats: r.Formats, Annotations: r.Annotations}
	rule := policy.Rule{Name: "trusted-keys", Index: policy.EveryChild, Mode: policy.Enforce, Require: []policy.Group{group}}
	if rule.Attestations, err = r.attestedBy(trusted); err != nil {
		return nil, err
	}
	if !r.Recursive {
		rule.Index = policy.Self
	}
	return func(string) (policy.Rule, error) { return rule, nil }, rule.Check()
}

// attestedBy requires an attestation of each type in the input attestation, by one
// of the keys.
func (r *run) attestedBy(keys []envelope.Key) (out []policy.Attestation, err error) {
	types, err := predicateTypes(r.list("attestation"))
	for _, uri := range types {
		out = append(out, policy.Attestation{Type: uri, Which: policy.Any, By: policy.Group{Name: "trusted-keys", Keys: keys, Min: 1}})
	}
	return out, err
}

func (r *run) policyRules() (rules, error) {
	for _, name := range []string{"trusted-keys", "trusted-keys-sha256", "threshold", "formats", "annotations", "attestation", "recursive"} {
		if _, given := r.values[name]; given && r.get(name) != defaultOf(name) {
			return nil, fault.Configf("inputs_contradict", "say it in the policy, or leave policy out", "%s and policy are both given", name)
		}
	}
	if r.get("policy-sha256") == "" && r.runner.Trigger().Untrusted() && r.runner.InWorkspace(r.get("policy")) {
		return nil, fault.Configf("trust_unpinned", "set policy-sha256, which signgate policy check prints, after you have reviewed it, or take the policy from another repository",
			"on %s the policy %s of the workspace can come from a stranger", r.runner.Trigger().Event, r.get("policy"))
	}
	p, err := r.loadPolicy()
	if err != nil {
		return nil, err
	}
	if err := r.checkPolicyTrust(p); err != nil {
		return nil, err
	}
	if r.floors, err = r.readFloors(p); err != nil {
		return nil, err
	}
	r.policy = p
	return p.RuleFor, nil
}

func defaultOf(name string) string { return values{}.get(name) }

// loadPolicy reads the policy. The key files that it names are relative to its
// folder.
func (r *run) loadPolicy() (*policy.Policy, error) {
	path := r.runner.TranslatePath(r.get("policy"))
	text, err := readFile("policy", path, policy.MaxSize)
	if err != nil {
		return nil, err
	}
	return policy.Load(policy.Source{Name: r.get("policy"), Text: text, Now: r.now, Read: func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		return readFile("policy", name, maxTrust)
	}})
}

// checkPolicyTrust puts the policy into the report and refuses one that whoever
// opened the pull request may have written.
func (r *run) checkPolicyTrust(p *policy.Policy) error {
	trust := report.Trust{Source: p.Name, SHA256: p.SHA256}
	for _, k := range p.Keys {
		trust.Fingerprints = append(trust.Fingerprints, k.Fingerprint)
	}
	r.report.Trust = append(r.report.Trust, trust)
	pin, trigger := r.get("policy-sha256"), r.runner.Trigger()
	switch {
	case pin != "" && pin != p.SHA256:
		return fault.Refusedf("trust_mismatch", "review the policy and its key files; if the change is right, change policy-sha256",
			"the policy %s has the hash %s, not %s", p.Name, p.SHA256, pin)
	case pin != "" || !r.inWorkspace(p):
	case trigger.Untrusted():
		return fault.Configf("trust_unpinned", "set policy-sha256: "+p.SHA256+" after you have reviewed it, or take the policy from another repository",
			"on %s the policy %s of the workspace can come from a stranger", trigger.Event, p.Name)
	case trigger.PullRequest():
		r.warn("on pull_request the policy " + p.Name + " comes from the pull request itself; pin it with policy-sha256")
	}
	return nil
}

// inWorkspace reports whether the policy or a key file that it names is in the
// workspace.
func (r *run) inWorkspace(p *policy.Policy) bool {
	return r.runner.InWorkspace(p.Name) || slices.ContainsFunc(p.Keys, func(k policy.Key) bool {
		return k.Source != "inline" && r.runner.InWorkspace(besides(p.Name, k.Source))
	})
}

// besides returns where a file is that a policy names.
func besides(policy, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(policy), name)
}

// floors are the least sequence numbers that count: one for all, or those that
// were accepted before by "repository:tag".
type floors struct {
	path   string
	all    int64
	before map[string]int64
}

// readFloors reads what rules with rollback: deny compare with.
func (r *run) readFloors(p *policy.Policy) (f floors, err error) {
	f = floors{path: r.runner.TranslatePath(r.get("rollback-state")), all: r.MinimumSequence, before: map[string]int64{}}
	needed := slices.ContainsFunc(p.Rules, func(rule policy.Rule) bool { return rule.Bind.Rollback })
	switch {
	case f.path != "" && f.all != 0:
		return f, fault.Configf("inputs_contradict", "keep one of them", "rollback-state and minimum-sequence are both given")
	case f.path == "" && f.all == 0 && needed:
		return f, fault.Configf("rollback_state_missing", "set rollback-state to a JSON file that is kept in the repository ({} at first), or minimum-sequence",
			"the policy %s refuses rollbacks, and nothing says what was accepted before", p.Name)
	case f.path == "":
		return f, nil
	}
	if err := r.checkStateTrust(); err != nil {
		return f, err
	}
	text, err := readFile("rollback-state", f.path, maxTrust)
	if err == nil {
		f.before, err = parseFloors(f.path, text)
	}
	return f, err
}

// checkStateTrust refuses a state that whoever opened the pull request may have
// written: with an empty one everything is new.
func (r *run) checkStateTrust() error {
	path, trigger := r.get("rollback-state"), r.runner.Trigger()
	switch {
	case !r.runner.InWorkspace(path):
	case trigger.Untrusted():
		return fault.Configf("trust_unpinned", "take it from a place that strangers cannot write to, or set minimum-sequence",
			"on %s the rollback state %s of the workspace can come from a stranger", trigger.Event, path)
	case trigger.PullRequest():
		r.warn("on pull_request the rollback state " + path + " comes from the pull request itself")
	}
	return nil
}

// of returns the floors of a subject's tags. What is below an index has none: see
// accept.
func (f floors) of(s image.Subject) map[string]int64 {
	out := map[string]int64{}
	if s.Index != "" {
		return out
	}
	for _, tag := range s.Tags {
		out[tag] = max(f.all, f.before[image.Canonical(s.Repository)+":"+tag])
	}
	return out
}
