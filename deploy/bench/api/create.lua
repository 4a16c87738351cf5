-- Creates NotebookServers of about 1.3 KB in the store, each with a name of its own.
-- Arguments: prefix of the names, bearer token.

local threads = 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

function init(args)
  prefix, count = args[1], 0
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Bearer " .. args[2]
  wrk.headers["Content-Type"] = "application/json"
  local env = {}
  for i = 1, 6 do
    env[i] = string.format('{"name":"VARIABLE_%d","value":"a value of the length that paths have: /software/area/%d"}', i, i)
  end
  body = '{"apiVersion":"essaim.dev/v1alpha1","kind":"NotebookServer","metadata":{"name":"%s",'
    .. '"labels":{"app":"bench","part":"%d"},"annotations":{"essaim.dev/purpose":"measuring the API server"}},'
    .. '"spec":{"class":"plain","suspend":true,"env":[' .. table.concat(env, ",") .. ']}}'
end

function request()
  count = count + 1
  local name = string.format("%s-%d-%d", prefix, thread_number, count)
  return wrk.format(nil, nil, nil, string.format(body, name, count % 10))
end
