"""Load that is put on a target by Locust, measured from the moment each request was due."""
