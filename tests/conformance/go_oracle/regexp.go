package main

import (
	"encoding/json"
	"regexp"
)

func init() {
	questions["regexp"] = func(input json.RawMessage) (any, error) {
		var asked struct {
			Pattern, Text, Replacement []byte
			Literal                    bool
		}
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		pattern, err := regexp.Compile(string(asked.Pattern))
		if err != nil {
			return nil, err
		}
		if asked.Literal {
			return pattern.ReplaceAllLiteral(asked.Text, asked.Replacement), nil
		}
		return pattern.ReplaceAll(asked.Text, asked.Replacement), nil
	}
}
