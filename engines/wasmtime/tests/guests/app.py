# Answers a request in JSON with one in JSON. `served` counts the requests of one instance.

import json

import wit_world

items = {
    f"/item/{id}": {"id": id, "name": f"item {id}", "tags": ["a", "b", str(id * id)]}
    for id in range(200)
}
served = 0


class WitWorld(wit_world.WitWorld):
    def respond(self, request: str) -> str:
        global served
        asked = json.loads(request)
        path, body = asked["path"], asked["body"]
        served += 1
        counts = {}
        for word in body.lower().split():
            counts[word] = counts.get(word, 0) + 1
        item = items.get(path)
        items[path] = {"changed": True}
        response = {
            "served": served,
            "item": item,
            "items": len(items),
            "counts": counts,
            "reversed": body[::-1],
        }
        return json.dumps(response, separators=(",", ":"))
