//go:build !linux

package actions

// Chown does nothing here: only Linux runners start container actions.
func (r *Runner) Chown(path string) {}
