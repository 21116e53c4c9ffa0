package actions

import "strings"

const inputPrefix = "INPUT_"

// Inputs returns the inputs of the step by name, and for each name the
// environment variable it came from. INPUT_TRUSTED-KEYS is "trusted-keys".
//
// The runner writes a space in a name as '_' and keeps hyphens. An underscore
// is left alone here: no input of signgate has a space or an underscore, so
// what was spelled "trusted_keys" comes back as "trusted_keys" and the caller
// can refuse it under the name that the user wrote. The runner itself only
// warns about unknown inputs, so the caller must refuse every name it does not
// know. Inputs that were not given are there with an empty value.
//
// Values are trimmed of surrounding white space, as actions/toolkit does.
func (r *Runner) Inputs() (values, variables map[string]string) {
	values, variables = map[string]string{}, map[string]string{}
	for _, entry := range r.environ {
		variable, value, _ := strings.Cut(entry, "=")
		raw, ok := strings.CutPrefix(variable, inputPrefix)
		if !ok || raw == "" {
			continue
		}
		name := strings.ToLower(raw)
		if variables[name] == inputPrefix+strings.ToUpper(raw) {
			continue // the runner's own spelling wins over any other case
		}
		values[name], variables[name] = strings.TrimSpace(value), variable
	}
	return values, variables
}
