package report_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// The reports that the goldens are made of. They are what the program could
// have made; internal/cli compares what it does make with the schema.

const pem = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/5gvv2qtqByEqavNH4vIGGRKy0Tp
w6xHXvziKf20JMhdaZMU7GYzjzTejUTpwPdINo4ruNZEqi9F/bWS0jdH3g==
-----END PUBLIC KEY-----
`

const (
	provenance = "https://slsa.dev/provenance/v1"
	spdx       = "https://spdx.dev/Document"
	scan       = "https://cosign.sigstore.dev/attestation/vuln/v1"
)

// digest returns a digest that looks like one.
func digest(n int) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(fmt.Append(nil, n)))
}

func key(name string, n int) envelope.Key {
	return envelope.Key{Name: name, Fingerprint: digest(900 + n)}
}

var (
	kms = key("arn:aws:kms:eu-west-1:111122223333:key/7a1c52b0-3c0f-4b7e-9d7e-0d5f8a0c9f11", 1)
	hsm = key("pkcs11:token=prod;object=release", 2)
)

// begun returns a report of a run in a workflow.
func begun(command string) *report.Report {
	r := &report.Report{SchemaVersion: report.SchemaVersion, Version: "v1.2.3", Command: command, Proof: report.ProofTrusted, Subjects: []report.Subject{}}
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	r.Begin(at, envelope.Run{
		Server: "https://github.com", Repository: "acme/app", WorkflowRef: "acme/app/.github/workflows/release.yml@refs/tags/v1.4.2",
		SHA: "5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5f6071829", Ref: "refs/tags/v1.4.2", Event: "release", RunID: "19482734", RunAttempt: "1", RunnerEnvironment: "github-hosted",
	})
	r.Finish(at.Add(4210 * time.Millisecond))
	return r
}

func signed(f envelope.Format, k envelope.Key, s image.Subject, n int) envelope.Verified {
	store := "referrers"
	if f == envelope.SimpleSigning {
		store = "signature tag"
	}
	return envelope.Verified{Candidate: envelope.Candidate{Format: f, Store: store, Manifest: digest(n)}, Key: k, Algorithm: "ECDSA_SHA_256", SubjectDigest: s.Digest}
}

func attested(predicate string, k envelope.Key, s image.Subject, n int) envelope.Verified {
	v := signed(envelope.Bundle, k, s, n)
	v.PredicateType, v.Subjects = predicate, []string{s.Digest}
	return v
}

// passes decides a subject: each key has signed in both formats and attested.
func passes(s image.Subject, rule string, keys []envelope.Key, predicates ...string) report.Subject {
	out := report.NewSubject(s)
	v := gate.Verdict{Subject: s, Rule: rule, Findings: []gate.Finding{{Outcome: fault.Passed, Code: "passed", Check: "release", Fact: "signed by release"}}}
	for i, k := range keys {
		v.Signatures = append(v.Signatures, signed(envelope.SimpleSigning, k, s, 10+i), signed(envelope.Bundle, k, s, 20+i))
	}
	for i, p := range predicates {
		v.Attested = append(v.Attested, attested(p, keys[0], s, 30+i))
		v.Findings = append(v.Findings, gate.Finding{Outcome: fault.Passed, Code: "passed", Check: "attestation " + p, Fact: "attested by release"})
	}
	out.Decide(v)
	out.Rule = &report.Rule{Name: rule, Policy: "release/policy.yaml", SHA256: strings.TrimPrefix(digest(77), "sha256:")}
	out.Took("resolve", 84*time.Millisecond)
	out.Took("gate", 212*time.Millisecond)
	return out
}

// index returns an index with its platforms as subjects.
func index(repository string, n int, tags []string, platforms ...string) []image.Subject {
	root := image.Subject{Repository: repository, Digest: digest(n), MediaType: image.OCIIndex, Size: 1609, Tags: tags}
	out := []image.Subject{root}
	for i, p := range platforms {
		out = append(out, image.Subject{Repository: repository, Digest: digest(n*100 + i), MediaType: image.OCIManifest, Size: 1021, Tags: tags, Platform: p, Index: root.Digest})
	}
	return out
}

// end ends a report with the outcome of its subjects.
func end(r *report.Report) *report.Report {
	var outcomes []fault.Outcome
	for i := range r.Subjects {
		outcomes = append(outcomes, r.Subjects[i].Decided())
	}
	r.End(fault.Worst(outcomes...), nil)
	return r
}

func trustPolicy() []report.Trust {
	return []report.Trust{{Source: "release/policy.yaml", SHA256: strings.TrimPrefix(digest(77), "sha256:"), Fingerprints: []string{kms.Fingerprint, hsm.Fingerprint}}}
}

// passedRelease is a release of two images with attestations, gated by a policy.
func passedRelease() *report.Report {
	r := begun("verify")
	r.Trust = trustPolicy()
	r.Keys = []report.Key{{ID: kms.Name, Type: "P-256", Fingerprint: kms.Fingerprint, PublicKey: pem}, {ID: hsm.Name, Type: "P-256", Fingerprint: hsm.Fingerprint, PublicKey: pem}}
	for _, s := range index("ghcr.io/acme/app", 1, []string{"1.4.2", "1.4"}, "linux/amd64", "linux/arm64") {
		r.Subjects = append(r.Subjects, passes(s, "ghcr.io/acme/*", []envelope.Key{kms, hsm}, provenance, spdx, scan))
	}
	for _, s := range index("ghcr.io/acme/worker", 2, []string{"1.4.2"}, "linux/386", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/mips64le", "linux/ppc64le", "linux/riscv64", "linux/s390x", "windows/amd64", "freebsd/amd64", "darwin/arm64") {
		r.Subjects = append(r.Subjects, passes(s, "ghcr.io/acme/*", []envelope.Key{kms}, provenance))
	}
	r.Subjects[0].Promoted = []string{"stable"}
	r.Subjects[0].Ignored = []report.Ignored{{Code: "key_other", Format: envelope.Bundle, Store: "referrers", Manifest: digest(41), Why: "made by another key, or changed since"}}
	return end(r)
}

// refuses decides a subject by one finding.
func refuses(s image.Subject, rule string, f gate.Finding, ignored ...gate.Ignored) report.Subject {
	out := report.NewSubject(s)
	out.Decide(gate.Verdict{Subject: s, Rule: rule, Findings: []gate.Finding{f}, Ignored: ignored})
	out.Rule = &report.Rule{Name: rule, Policy: "release/policy.yaml", SHA256: strings.TrimPrefix(digest(77), "sha256:")}
	return out
}

// refusedRelease has an image that passes, one with an unsigned platform, one
// signed by another key, and one whose registry did not answer.
func refusedRelease() *report.Report {
	r := begun("verify")
	r.Trust = trustPolicy()
	r.Keys = []report.Key{{ID: kms.Name, Type: "P-256", Fingerprint: kms.Fingerprint, PublicKey: pem}}
	const rule = "ghcr.io/acme/*"
	for _, s := range index("ghcr.io/acme/app", 1, []string{"1.4.2"}, "linux/amd64", "linux/arm64") {
		r.Subjects = append(r.Subjects, passes(s, rule, []envelope.Key{kms}, provenance))
	}
	worker := index("ghcr.io/acme/worker", 2, []string{"1.4.2"}, "linux/amd64", "linux/arm64")
	r.Subjects = append(r.Subjects, passes(worker[0], rule, []envelope.Key{kms}, provenance), passes(worker[1], rule, []envelope.Key{kms}, provenance))
	r.Subjects = append(r.Subjects, refuses(worker[2], rule, gate.Finding{Outcome: fault.Refused, Code: "unsigned", Check: "release", Tag: "1.4.2",
		Fact: "it has no signature, neither in the referrers API nor at the fallback tag nor at the signature tag", Next: "run the sign step before the gate"}))
	other := image.Subject{Repository: "ghcr.io/acme/migrate", Digest: digest(3), MediaType: image.OCIManifest, Tags: []string{"1.4.2"}}
	r.Subjects = append(r.Subjects, refuses(other, rule, gate.Finding{Outcome: fault.Refused, Code: "key_other", Check: "release", Tag: "1.4.2",
		Fact: "it has signatures, and none of them verifies with a trusted key", Next: "sign with a trusted key, or correct trusted-keys; signgate inspect shows what is attached"},
		gate.Ignored{Code: "key_other", Format: envelope.SimpleSigning, Store: "signature tag", Manifest: digest(51), Why: "made by another key, or changed since"},
		gate.Ignored{Code: "key_other", Format: envelope.Bundle, Store: "referrers", Manifest: digest(52), Why: "made by another key, or changed since"}))
	slow := image.Subject{Repository: "registry.acme.example/tools/backup", Digest: digest(4), MediaType: image.OCIManifest, Tags: []string{"7"}}
	r.Subjects = append(r.Subjects, refuses(slow, "registry.acme.example/tools/*", gate.Finding{Outcome: fault.Undecided, Code: "registry_error", Check: "tools",
		Fact: "GET https://registry.acme.example/v2/tools/backup/referrers/: 503 Service Unavailable after 6 attempts", Next: "nothing was decided; run the gate again when the cause is gone"}))
	r.Warnings = []string{"the tag registry.acme.example/tools/backup:7 is not in the registry (yet)"}
	return end(r)
}

// storedSignatures is a sign run without trusted keys: an HSM key and a retry of
// what was there in part.
func storedSignatures() *report.Report {
	r := begun("sign")
	r.Proof = report.ProofStored
	r.Keys = []report.Key{{ID: hsm.Name, Type: "P-384", Fingerprint: hsm.Fingerprint, PublicKey: pem, Custody: &signer.Custody{
		Sensitive: signer.Yes, Extractable: signer.No, NeverExtractable: signer.Yes, Local: signer.Yes, AlwaysAuthenticate: signer.Unknown}}}
	for i, s := range index("ghcr.io/acme/app", 1, []string{"1.4.2"}, "linux/amd64", "linux/arm64") {
		out := passes(s, report.ProofStored, []envelope.Key{hsm})
		out.Rule = &report.Rule{Name: report.ProofStored}
		out.Signed, out.Existing, out.RequestIDs = 1, 1, []string{fmt.Sprintf("5f1c6a52-2b7e-4c1f-9a1d-00000000000%d", i)}
		out.Took("sign", 1302*time.Millisecond)
		out.Took("attach", 640*time.Millisecond)
		r.Subjects = append(r.Subjects, out)
	}
	r.Subjects[0].Skipped = []image.Skipped{{Digest: digest(99), Reason: "BuildKit's attestation manifest"}}
	r.Warnings = []string{"cosign verifies P-384 signatures only with --signature-digest-algorithm, and containers/image (podman, CRI-O) not at all; P-256 is read everywhere"}
	return end(r)
}

// halfDecided is a run in which one of two registries did not answer.
func halfDecided() *report.Report {
	r := refusedRelease()
	r.Subjects = append(r.Subjects[:3:3], r.Subjects[len(r.Subjects)-1])
	return end(r)
}

// onlyWarned is a run by a rule that only warns.
func onlyWarned() *report.Report {
	r := begun("verify")
	s := image.Subject{Repository: "ghcr.io/acme/app", Digest: digest(1), MediaType: image.OCIManifest, Tags: []string{"1.4.2"}}
	r.Subjects = append(r.Subjects, refuses(s, "ghcr.io/acme/*", gate.Finding{Outcome: fault.Refused, Code: "unsigned", Check: "release", Tag: "1.4.2", Fact: "it has no signature", Next: "run the sign step before the gate"}))
	r.Subjects[0].Spare()
	return end(r)
}

// hostile is text that tries everything at once.
func hostile(n int) string {
	return [...]string{
		"1.0`\"]; click n0 href \"javascript:alert(1)\"\n%%{init: {'theme':'dark'}}%%\nend --> evil",
		"<img src=x onerror=alert(1)> | ## PASSED | [free](https://evil.example) ![x](https://evil.example/x.png)",
		"@acme/admins see #123 GH-1 and https://evil.example/login www.evil.example mail@evil.example deadbeefdeadbeef",
		"::error::fake\n::add-mask::x\n##[error]fake\x1b[2J\x1b[1;31mred\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\\x9b31m",
		"linux/\u202egpj.tnemelpmoc\u202c/am\u200bd\u200d64\u2066\ufeff\u00ad\U000e0041",
		"</details></summary><script>alert(1)</script>&lt;b&gt;&#64;acme",
		"**bold** {0} _it_ ~~x~~ $`\\sqrt{}`$ :tada: \\` \\| ```\n```sh\nrm -rf /\n# heading\n- [ ] task",
	}[n]
}

// hostileNames is a refused run in which every foreign text is hostile.
func hostileNames() *report.Report {
	r := begun("verify")
	r.Command = "x\n# <img src=x>"
	r.Version = "v1.2.3\"><script>"
	r.Run.WorkflowRef, r.Run.Event, r.Run.Server = hostile(2), hostile(3), "javascript://x"
	r.Trust = []report.Trust{{Source: hostile(0), SHA256: hostile(1), Fingerprints: []string{hostile(4)}}}
	r.Keys = []report.Key{{ID: hostile(5), Type: "P-256", Fingerprint: kms.Fingerprint, PublicKey: pem}}
	k := envelope.Key{Name: hostile(5), Fingerprint: kms.Fingerprint}
	for i, s := range index("ghcr.io/evil/app", 5, []string{hostile(0), hostile(1)}, hostile(4), hostile(2)) {
		s := passes(s, hostile(6), []envelope.Key{k}, hostile(1), provenance)
		s.RequestIDs = []string{hostile(i + 3)}
		r.Subjects = append(r.Subjects, s)
	}
	for i := range 7 {
		s := image.Subject{Repository: "ghcr.io/evil/other", Digest: digest(60 + i), Tags: []string{hostile(i)}, Platform: hostile(6 - i)}
		r.Subjects = append(r.Subjects, refuses(s, hostile((i+1)%7), gate.Finding{Outcome: fault.Refused, Code: "unsigned", Check: hostile((i + 2) % 7), Tag: hostile((i + 3) % 7), Fact: "the registry says " + hostile((i+4)%7), Next: hostile((i + 5) % 7)},
			gate.Ignored{Code: "key_other", Store: hostile((i + 1) % 7), Manifest: hostile((i + 6) % 7), Why: hostile(i)}))
	}
	r.Warnings = []string{hostile(0), hostile(1), hostile(2), hostile(6)}
	return end(r)
}
