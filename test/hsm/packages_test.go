package hsm

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// need is a program or a library and the Debian package that has it.
type need struct{ pkg, file string }

var needs = []need{
	{"softhsm2", "softhsm2-util"},
	{"softhsm2", "softhsm/libsofthsm2.so"},
	{"opensc", "pkcs11-tool"},
	{"opensc-pkcs11", "pkcs11-spy.so"},
	{"opencryptoki", "pkcsslotd"},
	{"opencryptoki", "pkcs11/libopencryptoki.so"},
	{"libnss3", "libsoftokn3.so"},
	{"libnss3-tools", "certutil"},
	{"libtpm2-pkcs11-1", "pkcs11/libtpm2_pkcs11.so"},
	{"libtpm2-pkcs11-tools", "tpm2_ptool"},
	{"swtpm", "swtpm"},
	{"tpm2-abrmd", "tpm2-abrmd"},
	{"libtss2-tcti-tabrmd0", "libtss2-tcti-tabrmd.so.0"},
	{"libtss2-tcti-swtpm0", "libtss2-tcti-swtpm.so.0"},
	{"dbus", "dbus-send"},
	{"dbus", "dbus-daemon"},
	{"p11-kit", "p11-kit"},
	{"p11-kit-modules", "pkcs11/p11-kit-client.so"},
	{"libp11-kit0", "p11-kit-proxy.so"},
	{"openssl", "openssl"},
}

// findPackages fails when something is not there. Nothing is skipped: a suite
// that passes without a module says nothing about it.
func findPackages(needs []need) error {
	var absent, packages []string
	for _, n := range needs {
		if locate(n.file) != "" {
			continue
		}
		absent = append(absent, n.file)
		if len(packages) == 0 || packages[len(packages)-1] != n.pkg {
			packages = append(packages, n.pkg)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return fmt.Errorf("missing: %s; run as root: apt-get update && apt-get install -y --no-install-recommends %s",
		strings.Join(absent, ", "), strings.Join(packages, " "))
}

// locate returns the path of a program, or of a library below the folders of
// the system, or "".
func locate(file string) string {
	if !strings.Contains(file, ".so") {
		path, _ := exec.LookPath(file)
		return path
	}
	for _, dir := range []string{"/usr/lib", "/usr/lib/*-linux-gnu", "/usr/lib/*-linux-gnu/pkcs11"} {
		if found, _ := filepath.Glob(filepath.Join(dir, file)); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

func TestMissing(t *testing.T) {
	err := findPackages(append([]need{{"libnone1", "libnone.so.1"}, {"none", "none-util"}, {"none", "none-tool"}}, needs...))
	const want = "missing: libnone.so.1, none-util, none-tool; run as root: apt-get update && apt-get install -y --no-install-recommends libnone1 none"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
