// Package arch guards the direction of imports that the design sets.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/signgate/signgate/"

// may lists, for each package, the packages of ours that it may import.
// internal/fault, internal/retry and internal/memo are the vocabulary that all share.
var may = map[string][]string{
	"internal/fault":                   {},
	"internal/retry":                   {},
	"internal/memo":                    {},
	"internal/audit":                   {},
	"internal/image":                   {},
	"internal/actions":                 {},
	"internal/keychain":                {},
	"internal/signer":                  {},
	"internal/filesigner":              {"internal/signer"},
	"internal/kmsigner/awskms":         {"internal/signer"},
	"internal/kmsigner/azurekms":       {"internal/signer"},
	"internal/kmsigner/gcpkms":         {"internal/signer"},
	"internal/kmsigner/hashivault":     {"internal/signer"},
	"internal/pkcs11signer":            {"internal/signer"},
	"internal/envelope":                {"internal/image", "internal/signer"},
	"internal/envelope/simplesigning":  {"internal/envelope", "internal/image", "internal/signer"},
	"internal/envelope/bundle":         {"internal/envelope", "internal/envelope/dsse", "internal/image", "internal/signer"},
	"internal/envelope/dsse":           {"internal/envelope"},
	"internal/attest":                  {"internal/envelope", "internal/image"},
	"internal/attest/contents":         {"internal/attest", "internal/image"},
	"internal/attest/attesttest":       {"internal/attest"},
	"internal/attest/provenance":       {"internal/attest", "internal/envelope", "internal/image"},
	"internal/attest/sbom":             {"internal/attest"},
	"internal/attest/scan":             {"internal/attest"},
	"internal/registry":                {"internal/envelope", "internal/envelope/bundle", "internal/envelope/dsse", "internal/envelope/simplesigning", "internal/image"},
	"internal/layout":                  {"internal/image"},
	"internal/policy":                  {"internal/signer", "internal/envelope", "internal/image"},
	"internal/policy/containerspolicy": {"internal/policy", "internal/envelope", "internal/signer"},
	"internal/gate":                    {"internal/policy", "internal/attest", "internal/envelope", "internal/envelope/bundle", "internal/envelope/dsse", "internal/envelope/simplesigning", "internal/image"},
	"internal/report":                  {"internal/attest", "internal/gate", "internal/envelope", "internal/image", "internal/signer"},
}

var shared = []string{"internal/fault", "internal/retry", "internal/memo"}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []pkg {
	out, err := exec.Command("go", "list", "-deps=false", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestImports(t *testing.T) {
	seen := 0
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, ruled := may[name]
		if !ruled {
			continue
		}
		seen++
		for _, imp := range p.Imports {
			ours, found := strings.CutPrefix(imp, module)
			if found && !slices.Contains(allowed, ours) && !slices.Contains(shared, ours) {
				t.Errorf("%s imports %s, which is not below it", name, ours)
			}
		}
	}
	if seen != len(may) {
		t.Errorf("%d of %d packages with a rule were found", seen, len(may))
	}
}

// vendors lists libraries that only the packages with a prefix may import.
// keychain reads AWS credentials for ECR.
var vendors = map[string][]string{
	"github.com/aws/":          {"internal/kmsigner/", "internal/keychain"},
	"github.com/miekg/pkcs11":  {"internal/pkcs11signer"},
	"C":                        {"internal/pkcs11signer"},
	"golang.org/x/oauth2":      {"internal/keychain", "internal/kmsigner/gcpkms"},
	"github.com/Azure/":        {"internal/kmsigner/azurekms"},
	"github.com/spf13/":        {"internal/cli"},
	"github.com/sethvargo/":    {"internal/actions"},
	"github.com/rogpeppe/":     {"internal/cli/clitest", "internal/attest/attesttest", "internal/audit"},
	"github.com/google/cel-go": {"internal/policy"},
	"github.com/klauspost/":    {"internal/attest/contents"},
	"golang.org/x/mod":         {"internal/attest/contents"},
}

func TestVendors(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			for vendor, homes := range vendors {
				if !strings.HasPrefix(imp, vendor) || vendor == "C" && imp != "C" {
					continue
				}
				if !slices.ContainsFunc(homes, func(h string) bool { return strings.HasPrefix(name, h) }) {
					t.Errorf("%s imports %s, which belongs in %s", name, imp, strings.Join(homes, " or "))
				}
			}
		}
	}
}

var forTests = []string{"internal/cli/clitest", "internal/attest/attesttest", "internal/attest/contents/contentstest", "internal/registry/registrytest", "internal/signer/signertest", "internal/kmsigner/kmstest", "internal/kmsigner/gcptest", "internal/kmsigner/vaulttest", "internal/kmsigner/azurekms/azuretest", "internal/pkcs11signer/faultmodule"}

// TestProgramsHaveNoTests: what only tests need is not in the programs.
func TestProgramsHaveNoTests(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath != module+"cmd/action" && p.ImportPath != module+"cmd/signgate" {
			continue
		}
		for _, dep := range p.Deps {
			if dep == "testing" || slices.Contains(forTests, strings.TrimPrefix(dep, module)) {
				t.Errorf("%s depends on %s", p.ImportPath, dep)
			}
		}
	}
}
