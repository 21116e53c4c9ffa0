package cli

import (
	"errors"
	"os"
	"path/filepath"
)

// replaceFile writes a file as a whole or not at all. A link of its name is
// replaced and not followed: the folder may hold what somebody else put there.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".signgate-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
