"""Documents of the reference service as other tools write them: OpenAPI 3.0, Swagger 2, Postman, OpenRPC."""

from __future__ import annotations

import json
from typing import Any

OPENAPI = """
openapi: 3.0.3
info: {title: Courses, version: '4'}
servers:
- url: '{scheme}://127.0.0.1:8000/api'
  variables: {scheme: {default: http}}
security:
- Token: []
paths:
  /auth:
    post:
      operationId: auth
      security: [{}, {Token: []}]
      requestBody:
        content:
          application/json:
            schema:
              oneOf:
              - $ref: '#/components/schemas/LoginRequest'
              - $ref: '#/components/schemas/StatusRequest'
              - $ref: '#/components/schemas/LogoutRequest'
              discriminator:
                propertyName: method
                mapping: {status: '#/components/schemas/StatusRequest', logout: LogoutRequest}
      responses:
        200:
          description: Done.
          content:
            application/json; charset=utf-8:
              schema:
                anyOf:
                - $ref: '#/components/schemas/LoginResponse'
                - $ref: '#/components/schemas/StatusResponse'
                - $ref: '#/components/schemas/Failure'
  /course:
    parameters:
    - {name: Token, in: header, required: true, schema: {type: string}}
    post:
      summary: Courses of one's own.
      requestBody:
        $ref: '#/components/requestBodies/Course'
      responses:
        200: {$ref: '#/components/responses/Course'}
        default: {description: Failed.}
  /health:
    get: {responses: {200: {description: Fine.}}}
components:
  securitySchemes:
    Token: {type: apiKey, in: header, name: Token}
  requestBodies:
    Course:
      content:
        application/json:
          schema:
            oneOf:
            - $ref: '#/components/schemas/FindCoursesRequest'
            - $ref: '#/components/schemas/ReadCourseRequest'
            - $ref: '#/components/schemas/AddCourseRequest'
            - $ref: '#/components/schemas/RemoveCourseRequest'
  responses:
    Course:
      description: Done.
      content:
        application/json:
          schema:
            oneOf:
            - $ref: '#/components/schemas/FindCoursesResponse'
            - $ref: '#/components/schemas/ReadCourseResponse'
            - $ref: '#/components/schemas/AddCourseResponse'
  schemas:
    Call:
      type: object
      required: [method]
      properties:
        method: {type: string}
        pageStart: {type: integer, minimum: 0, nullable: true}
    Envelope:
      type: object
      properties:
        isError: {type: boolean}
        errMsg: {type: string, nullable: true}
        data: {type: object, nullable: true}
    Failure:
      allOf:
      - $ref: '#/components/schemas/Envelope'
      - properties: {isError: {enum: [true]}}
    LoginRequest:
      type: object
      x-auth: none
      properties:
        method: {type: string, enum: [login]}
        data:
          type: object
          required: [identity, credential]
          properties:
            identity: {type: string, minLength: 1, maxLength: 254, example: ann@example.com}
            credential: {type: string, format: password, minLength: 1, maxLength: 200, writeOnly: true}
    LoginResponse:
      allOf:
      - $ref: '#/components/schemas/Envelope'
      - properties:
          data:
            type: object
            required: [sessionId]
            properties: {sessionId: {type: string}}
    StatusRequest:
      type: object
      x-effect: read
      properties: {method: {type: string}}
    StatusResponse:
      allOf:
      - $ref: '#/components/schemas/Envelope'
      - properties:
          data:
            type: object
            required: [user]
            properties: {user: {type: object, required: [email], properties: {email: {type: string, format: email}}}}
    LogoutRequest:
      type: object
      properties: {method: {type: string}, data: {type: object, nullable: true}}
    FindCoursesRequest:
      allOf:
      - $ref: '#/components/schemas/Call'
      - type: object
        description: List courses.
        x-effect: read
        properties:
          method: {enum: [find]}
          pageLength: {type: integer, nullable: true}
          data:
            type: object
            properties:
              query: {type: string, minLength: 1, maxLength: 200, nullable: true}
              sort: {type: string, enum: [created, newest, title, price], default: created}
    FindCoursesResponse:
      allOf:
      - $ref: '#/components/schemas/Envelope'
      - properties:
          data:
            type: object
            required: [courses]
            properties:
              courses: {type: array, items: {$ref: '#/components/schemas/Course'}}
              total: {type: integer}
    ReadCourseRequest:
      type: object
      x-effect: read
      x-object: {kind: course, does: read, id: courseId}
      properties:
        method: {enum: [read]}
        data:
          type: object
          required: [courseId]
          properties: {courseId: {$ref: '#/components/schemas/CourseId'}}
    ReadCourseResponse:
      allOf:
      - $ref: '#/components/schemas/Envelope'
      - properties: {data: {$ref: '#/components/schemas/Course'}}
    AddCourseRequest:
      type: object
      description: Create a course.
      x-object: {kind: course, does: create, id: /courseId}
      properties:
        method: {enum: [add]}
        data: {$ref: '#/components/schemas/Course'}
    AddCourseResponse:
      allOf:
      - $ref: '#/components/schemas/Envelope'
      - properties: {data: {$ref: '#/components/schemas/Course'}}
    RemoveCourseRequest:
      type: object
      x-effect: delete
      x-object: {kind: course, does: delete, id: courseId}
      properties:
        method: {enum: [remove]}
        data:
          type: object
          required: [courseId]
          properties: {courseId: {$ref: '#/components/schemas/CourseId'}}
    CourseId:
      {type: integer, format: int64, minimum: 0, exclusiveMinimum: true, maximum: 9007199254740991, x-ref: course}
    Course:
      type: object
      required: [courseId, title]
      properties:
        courseId: {type: integer, readOnly: true, minimum: 1}
        title: {type: string, minLength: 1, maxLength: 200, example: Python for teachers}
        status: {type: string, enum: [draft, published, archived]}
        price: {type: number, minimum: 0, maximum: 100000, exclusiveMaximum: true, multipleOf: 0.25}
        seats: {type: integer, minimum: 1, maximum: 10000, nullable: true}
"""


def _text(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "schema": {"type": "string", **members}}


# One function, though it is long: one document.
def openrpc() -> dict[str, Any]:
    """Return an OpenRPC document with names such as `course_find`."""
    course_id = {"$ref": "#/components/contentDescriptors/CourseId"}
    course = {"name": "course", "schema": {"$ref": "#/components/schemas/Course"}}
    rows = {"type": "object", "properties": {"courses": {"type": "array", "items": course["schema"]}}}
    return {
        "openrpc": "1.2.6",
        "info": {"title": "Courses", "version": "1.0.0"},
        "servers": [{"name": "local", "url": "http://127.0.0.1:8000/api/"}],
        "methods": [
            {
                "name": "auth_login",
                "params": [
                    {**_text("identity", minLength=1, maxLength=254), "required": True},
                    {**_text("credential", minLength=1, maxLength=200), "required": True},
                ],
                "result": {
                    "name": "session",
                    "schema": {"type": "object", "properties": {"sessionId": {"type": "string"}}},
                },
            },
            {"name": "auth_status", "params": [], "result": {"name": "user", "schema": {"type": "object"}}},
            {"name": "auth_logout", "params": []},
            {
                "name": "course_add",
                "summary": "Create a course.",
                "paramStructure": "either",
                "params": [
                    {**_text("title", minLength=1, maxLength=200), "required": True},
                    _text("status", enum=["draft", "published", "archived"]),
                ],
                "result": course,
                "errors": [{"code": 400, "message": "Bad request"}],
                "x-object": {"kind": "course", "does": "create", "id": "/courseId"},
            },
            {"name": "course_read", "params": [course_id], "result": course},
            {
                "name": "course_find",
                "params": [_text("sort", enum=["created", "newest", "title", "price"])],
                "result": {"name": "courses", "schema": rows},
            },
            {"name": "course_remove", "params": [course_id], "x-effect": "delete"},
            {"name": "health", "params": []},
        ],
        "components": {
            "contentDescriptors": {
                "CourseId": {
                    "name": "courseId",
                    "required": True,
                    "schema": {"type": "integer", "minimum": 1, "x-ref": "course"},
                }
            },
            "schemas": {
                "Course": {
                    "type": "object",
                    "required": ["courseId", "title"],
                    "properties": {"courseId": {"type": "integer"}, "title": {"type": "string"}},
                }
            },
        },
    }


def _saved(name: str, body: Any, code: int = 200) -> dict[str, Any]:
    return {"name": name, "code": code, "body": json.dumps(body), "header": []}


def _done(data: Any) -> dict[str, Any]:
    return {"isError": False, "errMsg": None, "data": data}


def _request(name: str, endpoint: str, raw: str, *examples: dict[str, Any], **more: Any) -> dict[str, Any]:
    request = {
        "method": "POST",
        "header": [],
        "body": {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}},
        "url": {"raw": f"{{{{baseUrl}}}}/{endpoint}", "host": ["{{baseUrl}}"], "path": [endpoint]},
        **more,
    }
    return {"name": name, "request": request, "response": list(examples)}


PASSWORD = "Pine-Cone-78"
SESSION = "5f2c9a7e41d84b06"


# One function, though it is long: one document.
def postman() -> dict[str, Any]:
    """Return a Postman collection, with variables, comments, folders and saved answers."""
    course = {"courseId": 7, "title": "Python for teachers", "status": "draft"}
    user = {"userId": 1, "email": "ann@example.com", "name": "Ann", "roles": ["user"]}
    login = json.dumps({"method": "login", "data": {"identity": "ann@example.com", "credential": PASSWORD}})
    return {
        "info": {
            "_postman_id": "0d9d3a6c-7a6c-4d1e-8f0f-6f5f3d1c2b4a",
            "name": "Courses",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {
            "type": "apikey",
            "apikey": [{"key": "key", "value": "Token"}, {"key": "value", "value": "{{token}}"}],
        },
        "variable": [
            {"key": "baseUrl", "value": "http://127.0.0.1:8000/api"},
            {"key": "courseId", "value": "7"},
            {"key": "token", "value": SESSION},
        ],
        "item": [
            {
                "name": "Sign in",
                "item": [
                    _request(
                        "Login",
                        "auth",
                        login,
                        _saved("signed in", _done({"sessionId": SESSION, "user": user})),
                        _saved("wrong", {"isError": True, "errMsg": "Unauthorized", "data": None}, 401),
                        auth={"type": "noauth"},
                    ),
                    _request("Who am I", "auth", '{"method": "status"}', _saved("me", _done({"user": user}))),
                    _request("Logout", "auth", '{"method": "logout"}'),
                ],
            },
            {
                "name": "Courses",
                "item": [
                    _request(
                        "Find courses",
                        "course",
                        '{\n  "method": "find",\n  // how many\n  "pageStart": 0, "pageLength": 10,\n'
                        '  "data": {"query": "{{query}}"}\n}',
                        _saved("found", _done({"courses": [course], "total": 1})),
                        description="List courses of one's own.",
                    ),
                    _request(
                        "Read", "course", '{"method": "read", "data": {"courseId": {{courseId}}}}',
                        _saved("read", _done(course)),
                    ),
                    _request(
                        "Add",
                        "course",
                        '{"method": "add", "data": {"title": "Course {{$guid}}", "status": "draft"}}',
                        _saved("added", _done(course)),
                    ),
                    _request("Delete", "course", '{"method": "remove", "data": {"courseId": {{courseId}}}}'),
                    {"name": "Health", "request": "http://127.0.0.1:8000/health"},
                    _request("Form", "course", "", body={"mode": "formdata", "formdata": []}),
                ],
            },
        ],
    }  # fmt: skip
