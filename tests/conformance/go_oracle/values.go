package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/tidwall/gjson"
	"sigs.k8s.io/yaml"
)

// property is what External Secrets reads of a payload: a name with dots is a literal key first, then gjson's path.
func property(payload, path string) gjson.Result {
	if strings.Contains(path, ".") {
		if found := gjson.Get(payload, strings.ReplaceAll(path, ".", "\\.")); found.Exists() {
			return found
		}
	}
	return gjson.Get(payload, path)
}

// extracted is what External Secrets makes of a JSON object: strings unquoted, all else as written.
func extracted(payload []byte) (map[string][]byte, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for name, raw := range members {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			found[name] = []byte(text)
		} else {
			found[name] = raw
		}
	}
	return found, nil
}

func decoded(strategy, text string) ([]byte, error) {
	switch strategy {
	case "Base64":
		return base64.StdEncoding.DecodeString(text)
	case "Base64URL":
		return base64.URLEncoding.DecodeString(text)
	case "Auto":
		if out, err := decoded("Base64", text); err == nil {
			return out, nil
		}
		if out, err := decoded("Base64URL", text); err == nil {
			return out, nil
		}
		return []byte(text), nil
	}
	return nil, errors.New("no such strategy")
}

func init() {
	questions["property"] = func(input json.RawMessage) (any, error) {
		var asked struct{ Payload, Path []byte }
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		found := property(string(asked.Payload), string(asked.Path))
		if !found.Exists() {
			return map[string]any{"exists": false}, nil
		}
		return map[string]any{"exists": true, "string": []byte(found.String())}, nil
	}
	questions["extract"] = func(input json.RawMessage) (any, error) {
		var asked struct{ Payload []byte }
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		return extracted(asked.Payload)
	}
	questions["decode"] = func(input json.RawMessage) (any, error) {
		var asked struct {
			Strategy string
			Value    []byte
		}
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		return decoded(asked.Strategy, string(asked.Value))
	}
	questions["tags"] = func(input json.RawMessage) (any, error) {
		var asked struct{ Tags map[string]string }
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		return json.Marshal(asked.Tags)
	}
	questions["yaml.load"] = func(input json.RawMessage) (any, error) {
		var asked struct{ Text []byte }
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		var found any
		err := yaml.Unmarshal(asked.Text, &found)
		return map[string]any{"value": found}, err
	}
	questions["yaml.dump"] = func(input json.RawMessage) (any, error) {
		var asked struct{ Value any }
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		text, err := yaml.Marshal(asked.Value)
		return []byte(strings.TrimSuffix(string(text), "\n")), err
	}
	questions["yaml.keysAndValues"] = func(input json.RawMessage) (any, error) {
		var asked struct{ Text []byte }
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		found := map[string]string{}
		err := yaml.Unmarshal(asked.Text, &found)
		return found, err
	}
}
