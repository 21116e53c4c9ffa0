package keychain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/signgate/signgate/internal/fault"
)

const configLimit = 1 << 20

// dockerConfig is the one config.json in use, or none. The environment's is
// read when it is first needed.
type dockerConfig struct {
	load    func() (*configFile, error)
	given   *configFile // from the input docker-config, else nil
	helpers answers     // credential programs, by registry
	skipped *skips
}

// configFile is what signgate reads of a config.json. Entries stay raw until
// one is wanted, so that a broken one harms only its own registry.
type configFile struct {
	name        string // for people
	Auths       map[string]json.RawMessage
	CredHelpers map[string]string
	CredsStore  string
}

func newDockerConfig(o Options, skipped *skips) (*dockerConfig, error) {
	d := &dockerConfig{skipped: skipped}
	if strings.TrimSpace(o.DockerConfig) == "" {
		d.load = sync.OnceValues(func() (*configFile, error) { return findConfig(o) })
		return d, nil
	}
	given, err := givenConfig(strings.TrimSpace(o.DockerConfig))
	if err != nil {
		return nil, err
	}
	d.given = given
	d.load = func() (*configFile, error) { return given, nil }
	return d, nil
}

// givenConfig reads the input docker-config: JSON, a file or its folder.
func givenConfig(text string) (*configFile, error) {
	if strings.HasPrefix(text, "{") {
		return parseConfig("the input docker-config", []byte(text))
	}
	c, err := readConfig(inFolder(text))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Configf("docker_config_invalid",
			"give a path that this step can see, such as one in the workspace, or the JSON itself",
			"docker-config names %s, which does not exist", text)
	}
	return c, err
}

// findConfig reads the first config that the environment has, in the order of
// docker and then podman. Without any it returns an empty one.
func findConfig(o Options) (*configFile, error) {
	if folder := o.Getenv("DOCKER_CONFIG"); folder != "" {
		if _, err := os.Stat(inFolder(folder)); err != nil {
			o.Debug("DOCKER_CONFIG is " + folder + ", where no config.json can be seen from here")
		}
	}
	for _, path := range configPaths(o.Getenv) {
		c, err := readConfig(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	return &configFile{}, nil
}

func configPaths(getenv func(string) string) []string {
	var paths []string
	add := func(root string, rest ...string) {
		if root != "" {
			paths = append(paths, filepath.Join(append([]string{root}, rest...)...))
		}
	}
	home := firstOf(getenv("HOME"), getenv("USERPROFILE"))
	if folder := getenv("DOCKER_CONFIG"); folder != "" {
		add(inFolder(folder))
	}
	add(getenv("REGISTRY_AUTH_FILE"))
	add(home, ".docker", "config.json")
	add(getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	add(getenv("XDG_CONFIG_HOME"), "containers", "auth.json")
	add(home, ".config", "containers", "auth.json")
	return paths
}

// inFolder returns path if it is a file, else the config.json in it.
func inFolder(path string) string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return path
	}
	return filepath.Join(path, "config.json")
}

func readConfig(path string) (*configFile, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, configInvalid(path, bareFile(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, configLimit+1))
	if err != nil {
		return nil, configInvalid(path, bareFile(err))
	}
	return parseConfig(path, data)
}

func parseConfig(name string, data []byte) (*configFile, error) {
	c := &configFile{name: name}
	if len(data) > configLimit {
		return nil, configInvalid(name, fmt.Errorf("it is larger than %d bytes", configLimit))
	}
	if len(data) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, configInvalid(name, err)
	}
	return c, nil
}

func bareFile(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func configInvalid(name string, err error) error {
	return fault.Configf("docker_config_invalid", "repair the file, or name another with the input docker-config",
		"%s cannot be used as a docker config: %w", name, err)
}
