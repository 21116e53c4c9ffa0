package cli

import "strings"

// kind is how an input's text is read.
type kind int

const (
	text     kind = iota
	lines         // one value per line
	list          // values separated by lines or commas
	boolean       // true or false
	number        // a whole number
	duration      // a Go duration such as 90s or 720h; days as 30d
	secret        // text that is masked and never shown
)

// input is one input of the action and one flag of the command line, with the
// same name and meaning.
type input struct {
	name  string
	kind  kind
	def   string // the default
	verbs string // the verbs that take it
	help  string
}

// takes reports whether the verb takes the input.
func (in input) takes(verb string) bool { return strings.Contains(" "+in.verbs+" ", " "+verb+" ") }

const (
	both    = "sign verify"
	writing = "sign attest"
	working = "sign attest verify"
	keyed   = "sign attest key doctor policy-init"
	trusts  = "sign attest verify inspect download contents policy-init"
	network = "sign attest verify inspect download contents policy-explain policy-test policy-init"
	timed   = "sign attest verify inspect download contents key doctor policy-explain policy-test policy-init"
)

// inputs returns all inputs. It is the only place where one is made: the flags,
// the INPUT_ names, action.yml and the tables in the docs are checked against
// it.
func inputs() []input {
	return []input{
		{"images", list, "", working, "image references, one per line; with digest the tags say what the signature is for"},
		{"digest", text, "", working, "the digest of all images, as the build step prints it"},
		{"metadata", text, "", working, "the metadata output of docker/build-push-action or docker/bake-action, in place of images"},
		{"metadata-file", text, "", working, "a file with that JSON, for metadata above 128 KiB"},
		{"images-from", text, "", working, "artifacts: the images that earlier steps declared to the runner, in place of images"},
		{"recursive", boolean, "true", working, "also take each platform manifest of an index"},

		{"key", lines, "", keyed, "key URI: awskms:///…, gcpkms://…, azurekms://…, hashivault://… or openbao://…, pkcs11:…, env://NAME or the path of a key file; each line signs"},
		{"expected-key", list, "", keyed, "SPKI fingerprints (sha256:…) that the keys must have, one per key"},
		{"pkcs11-module", text, "", keyed, "absolute path of the PKCS#11 library, when the key URI has no module-path"},
		{"pkcs11-socket", text, "", keyed, "socket of a p11-kit server on the host, as a bare path; the module is p11-kit's client then"},
		{"pkcs11-init-args", secret, "", keyed, "the reserved argument of C_Initialize, for modules that are configured by it"},
		{"pkcs11-public-key", lines, "", keyed, "public keys for PKCS#11 keys whose token has none: PEM text, PEM files or env://NAME, one per line"},
		{"pkcs11-key-policy", text, "warn", keyed, "require: refuse a key that its module calls extractable; warn; off: do not ask"},
		{"pkcs11-pin", secret, "", keyed, "the user PIN of the token"},
		{"pkcs11-pin-file", text, "", keyed, "a file that holds the PIN"},
		{"pkcs11-allow-workspace-module", boolean, "false", keyed, "load a PKCS#11 library from inside the workspace"},

		{"trusted-keys", lines, "", trusts, "public keys that decide: PEM text, PEM files or env://NAME, one per line"},
		{"trusted-keys-sha256", list, "", trusts, "the SHA-256 that each trusted key file must have"},
		{"policy", text, "", "verify policy-explain", "a policy file, in place of trusted-keys"},
		{"policy-sha256", text, "", "verify", "the hash that the policy must have, as signgate policy check prints it"},
		{"rollback-state", text, "", "verify policy-explain", "a JSON file with the sequence numbers that were accepted before, for policies with rollback: deny"},
		{"minimum-sequence", number, "", "verify policy-explain", "the least sequence number that counts, in place of rollback-state"},
		{"promote-tags", list, "", both, "tags that verify moves to the image once it has passed; sign puts them into the claims, wherever they point today"},
		{"threshold", number, "1", both, "how many distinct trusted keys must have signed"},

		{"provenance", boolean, "false", writing, "attest how the images were built: SLSA provenance v1 of this workflow run"},
		{"sbom-path", lines, "", writing, "SBOM files to attest, SPDX or CycloneDX JSON, one per line"},
		{"scan-path", lines, "", writing, "scan reports to attest, one per line: JSON of Trivy or Grype, SARIF, or the output of clamscan"},
		{"scan-predicate", text, "cosign", writing, "the predicate type of vulnerability scans: cosign (cosign.sigstore.dev/attestation/vuln/v1) or in-toto (in-toto.io/attestation/vulns/v0.1)"},
		{"predicate-type", text, "", writing, "the type of predicate-path: a URI, or one of cosign's names such as openvex"},
		{"predicate-path", text, "", writing, "a JSON file to attest as it is, with predicate-type"},
		{"contents", text, "", writing, "attest what the images hold: layers, or files for each file as well"},
		{"allow-unnamed", boolean, "false", writing, "attest scans that do not name the digest that they looked at"},
		{"attestation", list, "", "verify download", "predicate types: those that one of the trusted keys must have attested, beside the signature, or that are downloaded: URIs, or cosign's names such as slsaprovenance1, spdxjson, cyclonedx, vuln"},

		{"formats", list, "", working, "simplesigning (cosign's tags .sig and .att), bundle; both when empty, and then a tag that cannot be replaced is only warned of"},
		{"annotations", lines, "", both, "key=value, one per line: signed into the signature, or required of it by verify"},
		{"expires", duration, "", "sign", "how long the signature is valid, such as 720h or 30d; never ends when empty"},
		{"sequence", number, "", "sign", "a number that grows with each release; UTC milliseconds when empty"},
		{"resign", boolean, "false", writing, "write again although the same signature or attestation exists"},
		{"dry-run", boolean, "false", writing, "do everything except writing to the registry"},
		{"allow-untrusted-trigger", boolean, "false", writing, "sign or attest on pull_request_target, workflow_run and issue_comment"},

		{"registry-username", text, "", network, "user name for the registry of the images"},
		{"registry-password", secret, "", network, "password or token for the registry of the images"},
		{"registry-auth", secret, "", network, "YAML list of registry, username, password, as in docker/login-action"},
		{"docker-config", text, "", network, "path of a Docker config.json, or its folder"},
		{"github-token", secret, "", network, "token for ghcr.io"},
		{"insecure-registries", list, "", network, "registry hosts that are spoken to over plain HTTP; loopback needs no entry"},
		{"registry-ca", text, "", network, "certificates of your own authority, for the registries: a PEM file, or the PEM text"},
		{"signature-repository", text, "", network, "the repository that holds the signatures, when it is not that of the image"},
		{"settle", duration, "1s", writing, "how long to wait for other writers where the registry has no referrers API; 0s does not wait"},
		{"concurrency", number, "32", network, "how many manifests are worked on at a time"},
		{"timeout", duration, "5m", timed, "the time limit of the whole run"},
		{"retries", number, "5", timed, "how often a transient failure is tried again"},

		{"audit-log", text, "", working, "a file to which one line of JSON per signature, attestation and verdict is added, chained by hashes"},
		{"output-dir", text, "", working + " download", "folder for report.json and report.sarif, or for what is downloaded, inside the workspace"},
		{"show-summary", boolean, "true", working, "write the job summary"},
	}
}

// verbInputs returns the inputs of one verb.
func verbInputs(verb string) []input {
	var out []input
	for _, in := range inputs() {
		if in.takes(verb) {
			out = append(out, in)
		}
	}
	return out
}
