export function handle(request) {
  return request + 7;
}
