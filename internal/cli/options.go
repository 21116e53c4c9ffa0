package cli

import (
	"slices"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
)

// options are the inputs of a run, read and checked.
type options struct {
	values                // what stays text
	Recursive             bool
	Threshold             int
	Formats               []envelope.Format
	Annotations           map[string]string
	Expires               time.Duration // 0 for never
	Sequence              int64         // 0 for the time of the run
	MinimumSequence       int64         // 0 when it was not given
	Resign                bool
	DryRun                bool
	AllowUntrustedTrigger bool
	AllowWorkspaceModule  bool
	KeyPolicy             pkcs11signer.KeyPolicy
	Timeout               time.Duration
	Retries               int
	Settle                time.Duration
	Concurrency           int
	StoreIn               string // the repository of all signatures; "" for that of each image
	ShowSummary           bool
	Provenance            bool
	AllowUnnamed          bool
}

// parse reads the values that were given for a verb.
func parse(v values) (o options, err error) {
	o.values = v
	if err := v.checkBlank(); err != nil {
		return o, err
	}
	for _, b := range []struct {
		name string
		to   *bool
	}{
		{"recursive", &o.Recursive}, {"resign", &o.Resign}, {"dry-run", &o.DryRun}, {"show-summary", &o.ShowSummary},
		{"provenance", &o.Provenance}, {"allow-unnamed", &o.AllowUnnamed},
		{"allow-untrusted-trigger", &o.AllowUntrustedTrigger}, {"pkcs11-allow-workspace-module", &o.AllowWorkspaceModule},
	} {
		if *b.to, err = v.bool(b.name); err != nil {
			return o, err
		}
	}
	for _, d := range []struct {
		name string
		to   *time.Duration
	}{{"expires", &o.Expires}, {"timeout", &o.Timeout}, {"settle", &o.Settle}} {
		if *d.to, err = v.duration(d.name); err != nil {
			return o, err
		}
	}
	if o.Expires = o.Expires.Truncate(time.Second); o.Expires == 0 && v.get("expires") != "" {
		return o, badInput("expires", v.get("expires"), "at least a second")
	}
	if o.Timeout == 0 {
		return o, badInput("timeout", v.get("timeout"), "more than 0")
	}
	if err := o.numbers(); err != nil {
		return o, err
	}
	if o.Annotations, err = v.annotations(); err != nil {
		return o, err
	}
	if o.KeyPolicy, err = v.keyPolicy(); err != nil {
		return o, err
	}
	if o.StoreIn, err = v.repository("signature-repository"); err != nil {
		return o, err
	}
	o.Formats, err = v.formats()
	return o, err
}

func (o *options) numbers() error {
	threshold, err := o.number("threshold", 1, 1000)
	if err != nil {
		return err
	}
	retries, err := o.number("retries", 0, 50)
	if err != nil {
		return err
	}
	concurrency, err := o.number("concurrency", 1, 256)
	if err != nil {
		return err
	}
	o.Threshold, o.Retries, o.Concurrency = int(threshold), int(retries), int(concurrency)
	for name, to := range map[string]*int64{"sequence": &o.Sequence, "minimum-sequence": &o.MinimumSequence} {
		if o.get(name) == "" {
			continue
		}
		if *to, err = o.number(name, 1, envelope.MaxSequence); err != nil {
			return err
		}
	}
	return nil
}

func (v values) keyPolicy() (pkcs11signer.KeyPolicy, error) {
	policy := pkcs11signer.KeyPolicy(v.get("pkcs11-key-policy"))
	switch policy {
	case pkcs11signer.Off, pkcs11signer.Warn, pkcs11signer.Require:
		return policy, nil
	}
	return "", badInput("pkcs11-key-policy", string(policy), "off, warn or require")
}

func (v values) formats() ([]envelope.Format, error) {
	var out []envelope.Format
	if v.get("formats") == "" {
		return envelope.Formats(), nil
	}
	for _, s := range v.list("formats") {
		f := envelope.Format(s)
		switch {
		case !slices.Contains(envelope.Formats(), f):
			return nil, badInput("formats", s, "simplesigning, bundle or both")
		case slices.Contains(out, f):
			return nil, fault.Configf("inputs_contradict", "keep one of them", "the format %s is given twice", f)
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, badInput("formats", v.get("formats"), "simplesigning, bundle or both")
	}
	return out, nil
}
