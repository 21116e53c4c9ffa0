package keychain_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/keychain"
)

func TestDockerConfigEntries(t *testing.T) {
	k, _ := fixture(t, keychain.Options{DockerConfig: `{"auths":{
		"https://index.docker.io/v1/": ` + basic("hub", "a:b") + `,
		"docker.io": ` + basic("podman", "p") + `,
		"https://quay.io/v2/": {"username":"plain","password":"p"},
		"ghcr.io": {},
		"ghcr.io/org": ` + basic("org", "p") + `,
		"azure.example": {"auth":"MDA6","identitytoken":"tok"},
		"null.example": null,
		"broken.example": {"auth":"%%%"}
	},"HttpHeaders":{"x":"y"},"currentContext":"default"}`}, env{})
	const source = "docker config the input docker-config"
	want(t, k, "alpine", "hub:a:b", source)
	want(t, k, "quay.io/o/r", "plain:p", source)
	want(t, k, "ghcr.io/org/r", "org:p", source)
	want(t, k, "ghcr.io/other/r", "", "anonymous")
	want(t, k, "azure.example/r", "identity:tok", source)
	want(t, k, "null.example/r", "", "anonymous")
	_, err := k.Resolve(repository(t, "broken.example/r"))
	wantCode(t, err, "docker_config_invalid")
	if !strings.Contains(err.Error(), "broken.example") {
		t.Error(err)
	}
}

func TestDockerConfigPlaces(t *testing.T) {
	dir := t.TempDir()
	config := func(user string) string { return `{"auths":{"quay.io":` + basic(user, "p") + `}}` }
	place := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	files := []struct{ path, variable, value string }{
		{place("dc", "config.json"), "DOCKER_CONFIG", place("dc")},
		{place("auth.json"), "REGISTRY_AUTH_FILE", place("auth.json")},
		{place("home", ".docker", "config.json"), "HOME", place("home")},
		{place("run", "containers", "auth.json"), "XDG_RUNTIME_DIR", place("run")},
		{place("xdg", "containers", "auth.json"), "XDG_CONFIG_HOME", place("xdg")},
		{place("home", ".config", "containers", "auth.json"), "HOME", place("home")},
	}
	e := env{}
	for _, f := range files {
		write(t, f.path, config(filepath.Base(filepath.Dir(f.path))))
		e[f.variable] = f.value
	}
	for _, f := range files {
		k, _ := fixture(t, keychain.Options{}, e)
		want(t, k, "quay.io/o/r", filepath.Base(filepath.Dir(f.path))+":p", "docker config "+f.path)
		if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
	}
	k, log := fixture(t, keychain.Options{}, e)
	want(t, k, "quay.io/o/r", "", "anonymous")
	if !strings.Contains(log.String(), "DOCKER_CONFIG is "+place("dc")+", where no config.json can be seen") {
		t.Errorf("debug %q", log)
	}
}

func TestDockerConfigInput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	write(t, file, `{"auths":{"quay.io":`+basic("u", "p")+`}}`)
	for _, input := range []string{dir, file, " " + dir + "\n"} {
		k, _ := fixture(t, keychain.Options{DockerConfig: input}, env{"HOME": home(t, "broken")})
		want(t, k, "quay.io/o/r", "u:p", "docker config "+file)
	}
}

func TestDockerConfigInvalid(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"json": `{"auths":`, "array": `[]`, "type": `{"auths":"hunter2"}`, "large": `{"a":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		file := filepath.Join(dir, name)
		write(t, file, text)
		_, err := try(t, keychain.Options{DockerConfig: file}, env{}, &lines{})
		wantCode(t, err, "docker_config_invalid", "hunter2")
		if !strings.Contains(err.Error(), file) {
			t.Errorf("%v does not name the file", err)
		}
		// The environment's file is no problem until it is needed.
		k, _ := fixture(t, keychain.Options{Username: "u", Password: "p", Registries: []string{"ghcr.io"}}, env{"REGISTRY_AUTH_FILE": file})
		want(t, k, "ghcr.io/o/r", "u:p", "registry-username and registry-password")
		_, err = k.Resolve(repository(t, "quay.io/o/r"))
		wantCode(t, err, "docker_config_invalid", "hunter2")
	}
	for _, input := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "json", "x"), dir, `{"auths":`, `{"auths":3}`} {
		_, err := try(t, keychain.Options{DockerConfig: input}, env{}, &lines{})
		wantCode(t, err, "docker_config_invalid")
	}
}

// program installs a credential program on PATH that logs its calls.
func program(t *testing.T, name, script string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	text := "#!/bin/sh\nread server\necho \"$1 $server\" >>" + log + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		data, _ := os.ReadFile(log)
		return string(data)
	}
}

func TestCredentialProgram(t *testing.T) {
	t.Setenv("INPUT_PKCS11-PIN", "1234")
	calls := program(t, "sg-test", `
env | grep -q INPUT_ && exit 3
case $server in
quay.io) echo '{"ServerURL":"quay.io","Username":"u","Secret":"s"}' ;;
https://index.docker.io/v1/) echo '{"Username":"<token>","Secret":"refresh"}' ;;
slow.example) echo '{"Username":"","Secret":""}' ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac`)
	config := `{"credsStore":"sg-test","auths":{"other.example":` + basic("file", "p") + `}}`
	k, _ := fixture(t, keychain.Options{DockerConfig: config, GitHubToken: "t"}, env{})
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { login(t, k, "quay.io/a") })
		all.Go(func() { login(t, k, "quay.io/b") })
	}
	all.Wait()
	source := "docker-credential-sg-test of docker config the input docker-config"
	want(t, k, "quay.io/a", "u:s", source)
	want(t, k, "alpine", "identity:refresh", source)
	want(t, k, "slow.example/r", "", "anonymous")
	want(t, k, "other.example/r", "file:p", "docker config the input docker-config")
	want(t, k, "ghcr.io/o/r", "github-actions:t", "github-token")
	wantCalls := "get quay.io\nget https://index.docker.io/v1/\nget slow.example\nget other.example\nget ghcr.io\n"
	if calls() != wantCalls {
		t.Errorf("calls %q", calls())
	}
	if skipped := k.Skipped("ghcr.io"); len(skipped) != 0 {
		t.Errorf("skipped %v", skipped)
	}
}

func TestCredHelpersBeatTheStore(t *testing.T) {
	calls := program(t, "sg-one", `echo '{"Username":"one","Secret":"s"}'`)
	k, _ := fixture(t, keychain.Options{DockerConfig: `{"credsStore":"absent-program","credHelpers":{"https://quay.io":"sg-one"}}`}, env{})
	want(t, k, "quay.io/r", "one:s", "docker-credential-sg-one of docker config the input docker-config")
	if calls() != "get quay.io\n" {
		t.Errorf("calls %q", calls())
	}
}

func TestMissingProgramFallsThrough(t *testing.T) {
	dir := home(t, `{"credsStore":"desktop-absent","auths":{"quay.io":`+basic("file", "p")+`,"ghcr.io":{}}}`)
	k, log := fixture(t, keychain.Options{GitHubToken: "t"}, env{"HOME": dir})
	want(t, k, "ghcr.io/o/r", "github-actions:t", "github-token")
	want(t, k, "ghcr.io/o/other", "github-actions:t", "github-token")
	want(t, k, "quay.io/o/r", "file:p", "docker config "+dir+"/.docker/config.json")
	want(t, k, "none.example/r", "", "anonymous")
	for _, registry := range []string{"ghcr.io", "quay.io", "none.example"} {
		skipped := k.Skipped(registry)
		if len(skipped) != 1 {
			t.Fatalf("%s: %v", registry, skipped)
		}
		wantCode(t, skipped[0], "credential_helper_missing")
		if !strings.Contains(log.String(), "registry "+registry+": docker-credential-desktop-absent, which "+dir) {
			t.Errorf("debug %q", log)
		}
	}
}

func TestFailingProgramsFallThrough(t *testing.T) {
	scripts := map[string]string{
		"sg-exit":  `echo "hunter2 is wrong"; exit 1`,
		"sg-noise": `echo hunter2`,
		"sg-flood": `yes hunter2`,
	}
	for name, script := range scripts {
		program(t, name, script)
	}
	scripts["../../bin/evil"] = ""
	scripts["-x"] = ""
	for name := range scripts {
		k, log := fixture(t, keychain.Options{DockerConfig: `{"credsStore":"` + name + `"}`}, env{})
		want(t, k, "quay.io/r", "", "anonymous")
		skipped := k.Skipped("quay.io/r")
		if len(skipped) != 1 {
			t.Fatalf("%s: %v", name, skipped)
		}
		wantCode(t, skipped[0], "credential_helper_failed", "hunter2")
		if strings.Contains(log.String(), "hunter2") {
			t.Errorf("debug %q", log)
		}
		if fault.OutcomeOf(skipped[0]) != fault.Config {
			t.Error("outcome")
		}
	}
}
