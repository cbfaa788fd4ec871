class WitWorld:
    def handle(self, request: int) -> int:
        return request + 7
