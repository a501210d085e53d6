package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

// As External Secrets renders: missing keys are errors, data are texts, sprig without what reaches outside.
func templateFunctions() template.FuncMap {
	functions := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(functions, name)
	}
	functions["toYaml"] = func(value any) string {
		written, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(written), "\n")
	}
	functions["fromYaml"] = func(text string) (map[string]any, error) {
		found := map[string]any{}
		err := yaml.Unmarshal([]byte(text), &found)
		return found, err
	}
	return functions
}

func init() {
	functions := templateFunctions()
	questions["template"] = func(input json.RawMessage) (any, error) {
		var asked struct {
			Text []byte
			Data map[string][]byte
		}
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		parsed, err := template.New("t").Option("missingkey=error").Funcs(functions).Parse(string(asked.Text))
		if err != nil {
			return nil, err
		}
		data := map[string]string{}
		for key, value := range asked.Data {
			data[key] = string(value)
		}
		var out bytes.Buffer
		if err := parsed.Execute(&out, data); err != nil {
			return nil, err
		}
		return out.Bytes(), nil
	}
}
