package actions

import "io"

// SetRandom makes delimiters predictable.
func (r *Runner) SetRandom(random io.Reader) { r.random = random }

// SetMount stands in for /github.
func (r *Runner) SetMount(dir string) { r.mount = dir }
