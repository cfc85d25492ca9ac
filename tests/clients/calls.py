"""The Python client, as an agent uses it: lists the tools, then makes each of the calls, and prints what came of them as one
JSON document. What the client raises is what its agent would see in place of the answer.

Usage: calls.py URL KEY CALLS   (CALLS is a JSON list of {name, arguments})
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def answer(client: Client, call: dict) -> dict:
    try:
        result = await client.call_tool(call["name"], call["arguments"])
    except Exception as error:
        return {"thrown": repr(error), "data": getattr(getattr(error, "error", None), "data", None)}
    return {
        "text": result.content[0].text,
        "structuredContent": result.structured_content,
        "isError": bool(result.is_error),
    }


async def main(url: str, key: str, calls: list[dict]) -> None:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            await client.list_tools()
            answers = [await answer(client, call) for call in calls]
            print(json.dumps({"protocol": str(client.protocol_version), "answers": answers}))


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
