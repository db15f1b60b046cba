"""A catalogue with every feature that the model reads."""

from __future__ import annotations

from typing import Any

DOCUMENT: dict[str, Any] = {
    "openrpc": "1.3.2",
    "info": {"title": "A target", "version": "1"},
    "x-note": "further members of one's own are free",
    "methods": [
        {
            "name": "auth.login",
            "x-auth": "none",
            "params": [
                {"name": "identity", "required": True, "schema": {"type": "string", "format": "email"}},
                {"name": "credential", "required": True, "schema": {"type": "string", "minLength": 1}},
            ],
            "result": {"name": "data", "schema": {"type": "object", "required": ["sessionId"]}},
        },
        {
            "name": "course.add",
            "description": "Adds a course",
            "params": [
                {"name": "title", "required": True, "schema": {"$ref": "#/components/schemas/Title"}},
                {"name": "level", "schema": {"type": "integer", "minimum": 1, "maximum": 5}},
                {
                    "name": "tagIds",
                    "schema": {
                        "type": "array",
                        "items": {"$ref": "#/$defs/tag"},
                        "$defs": {"tag": {"type": "integer", "x-ref": "tag"}},
                    },
                },
            ],
            "result": {"name": "data", "schema": {"$ref": "#/components/schemas/Course"}},
            "x-object": {"kind": "course", "does": "create", "id": "courseId"},
        },
        {
            "name": "course.read",
            "x-effect": "read",
            "params": [{"$ref": "#/components/contentDescriptors/courseId"}],
            "result": {"$ref": "#/components/contentDescriptors/course"},
            "x-object": {"kind": "course", "does": "read", "id": "courseId", "at": "/course"},
        },
        {
            "name": "course.find",
            "x-effect": "read",
            "x-rows": "/courses",
            "params": [{"name": "query", "schema": {"type": "string"}}],
            "result": {"name": "data", "schema": {"type": "object"}},
            "x-object": {"kind": "course", "does": "list", "id": "/courseId"},
        },
        {
            "name": "user.find",
            "x-auth": "admin",
            "x-effect": "read",
            "x-beyond-schema": True,
            "params": [],
        },
    ],
    "components": {
        "schemas": {
            "Title": {"type": "string", "minLength": 1, "maxLength": 120},
            "Course": {
                "type": "object",
                "required": ["courseId", "title"],
                "properties": {
                    "courseId": {"type": "integer", "readOnly": True},
                    "title": {"$ref": "#/components/schemas/Title"},
                    "revision": {"type": "integer", "readOnly": True},
                    "marks": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "properties": {
                                "score": {"type": "number"},
                                "at": {"type": "string", "readOnly": True},
                            },
                        },
                    },
                    "related": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Course"}]},
                    },
                },
            },
        },
        "contentDescriptors": {
            "courseId": {
                "name": "courseId",
                "required": True,
                "schema": {"type": "integer", "x-ref": "course"},
            },
            "course": {
                "name": "data",
                "schema": {
                    "type": "object",
                    "properties": {"course": {"$ref": "#/components/schemas/Course"}},
                },
            },
        },
    },
}
